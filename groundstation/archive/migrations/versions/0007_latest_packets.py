"""The newest packet of each kind in one row, beside parameters that came alone; `latest` becomes a view of both."""

import sqlalchemy as sa
from alembic import op

from groundstation.archive.columns import Json, Time

revision = "0007"
down_revision = "0006"

# Of equal generation times the first that came is the latest, whichever table has it.
LATEST = """
CREATE VIEW latest AS
SELECT satellite, parameter, packet, generated_at, received_at, station, value, level
FROM (
    SELECT brought.*, row_number() OVER (
        PARTITION BY satellite, parameter ORDER BY generated_at DESC, stored_at
    ) AS place
    FROM (
        SELECT whole.satellite, item.key AS parameter, whole.packet, whole.generated_at, whole.received_at,
            whole.stored_at, whole.station, {value} AS value, {level} AS level
        FROM latest_packet AS whole, {items} AS item
        UNION ALL
        SELECT satellite, parameter, packet, generated_at, received_at, stored_at, station, value, level
        FROM latest_parameter
    ) AS brought
) AS ranked
WHERE place = 1
"""
TELEMETRY_LATEST = """
CREATE VIEW telemetry_latest AS
SELECT {time} AS time, latest.generated_at, latest.received_at, latest.satellite, latest.station, latest.packet,
    latest.parameter, {number} AS value, {text} AS text, latest.level
FROM latest{items}
"""
COLUMNS = "satellite, parameter, packet, generated_at, received_at, station, value, level"


def upgrade() -> None:
    op.create_table(
        "latest_packet",
        sa.Column("satellite", sa.Text, nullable=False),
        sa.Column("packet", sa.Text, nullable=False),
        sa.Column("generated_at", Time, nullable=False),
        sa.Column("received_at", Time, nullable=False),
        sa.Column("stored_at", Time, nullable=False),
        sa.Column("station", sa.Text, nullable=False),
        sa.Column("parameters", Json, nullable=False),
        sa.Column("levels", Json),
        sa.PrimaryKeyConstraint("satellite", "packet", name="pk_latest_packet"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "latest_parameter",
        sa.Column("satellite", sa.Text, nullable=False),
        sa.Column("parameter", sa.Text, nullable=False),
        sa.Column("packet", sa.Text, nullable=False),
        sa.Column("generated_at", Time, nullable=False),
        sa.Column("received_at", Time, nullable=False),
        sa.Column("stored_at", Time, nullable=False),
        sa.Column("station", sa.Text, nullable=False),
        sa.Column("value", Json),
        sa.Column("level", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("satellite", "parameter", name="pk_latest_parameter"),
    )
    # When a value was stored was not kept; that it came before all that is to come is what counts.
    op.execute(f"INSERT INTO latest_parameter ({COLUMNS}, stored_at) SELECT {COLUMNS}, received_at FROM latest")  # noqa: S608
    op.execute("DROP VIEW telemetry_latest")
    op.drop_table("latest")
    for view in postgresql_views() if op.get_bind().dialect.name == "postgresql" else sqlite_views():
        op.execute(view)


def sqlite_views() -> tuple[str, str]:
    return (
        LATEST.format(
            value="nullif(whole.parameters -> item.fullkey, 'null')",
            level="coalesce(whole.levels ->> item.fullkey, 'in_limits')",
            items="json_each(whole.parameters)",
        ),
        TELEMETRY_LATEST.format(
            time="latest.generated_at / 1e6",
            number="CASE WHEN item.type IN ('integer', 'real', 'true', 'false') THEN CAST(item.atom AS REAL) END",
            text="CASE item.type WHEN 'true' THEN 'true' WHEN 'false' THEN 'false' ELSE CAST(item.atom AS TEXT) END",
            items=" LEFT JOIN json_each(latest.value) AS item ON TRUE",
        ),
    )


def postgresql_views() -> tuple[str, str]:
    number = (
        "CASE jsonb_typeof(latest.value) WHEN 'number' THEN (latest.value #>> '{}')::double precision "
        "WHEN 'boolean' THEN (latest.value #>> '{}')::boolean::integer END"
    )
    return (
        LATEST.format(
            value="nullif(item.value, 'null'::jsonb)",
            level="coalesce(whole.levels ->> item.key, 'in_limits')",
            items="jsonb_each(whole.parameters)",
        ),
        TELEMETRY_LATEST.format(time="latest.generated_at", number=number, text="latest.value #>> '{}'", items=""),
    )
