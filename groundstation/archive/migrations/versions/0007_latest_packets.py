"""The newest packet of each kind in one row, beside parameters that came alone; `latest` becomes a view of both."""

import sqlalchemy as sa
from alembic import op

from groundstation.archive.columns import Json, Time

revision = "0007"
down_revision = "0006"

# A parameter that the newest whole packet of its kind has no longer is not brought back by an older part of one. Of
# equal generation times the first that came is the latest, whichever table has it.
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
        FROM latest_parameter AS part
        WHERE NOT EXISTS (
            SELECT 1 FROM latest_packet AS whole WHERE whole.satellite = part.satellite
            AND whole.packet = part.packet AND whole.generated_at > part.generated_at
        )
    ) AS brought
) AS ranked
WHERE place = 1
"""
COLUMNS = "satellite, parameter, packet, generated_at, received_at, station, value, level"
# When a value was stored was not kept. It was not later than now, though a station's clock may have been ahead.
SQLITE_STORED_AT = "min(received_at, CAST(strftime('%s', 'now') AS INTEGER) * 1000000)"
POSTGRESQL_STORED_AT = "least(received_at, now())"
VIEWS_OF_LATEST = """
SELECT DISTINCT view.oid::regclass::text, pg_get_viewdef(view.oid)
FROM pg_depend JOIN pg_rewrite ON pg_rewrite.oid = pg_depend.objid
    JOIN pg_class AS view ON view.oid = pg_rewrite.ev_class
WHERE pg_depend.classid = 'pg_rewrite'::regclass AND refobjid = 'latest'::regclass AND view.relkind = 'v'
"""
READERS_OF_LATEST = """
SELECT CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END
FROM pg_class, aclexplode(relacl)
WHERE pg_class.oid = 'latest'::regclass AND privilege_type = 'SELECT' AND grantee <> relowner
"""


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
    if op.get_bind().dialect.name == "postgresql":
        replace_in_postgresql()
    else:
        replace_in_sqlite()


def replace_in_sqlite() -> None:
    """Views know what they show by its name alone, so that `telemetry_latest` and those of others stay as they are."""
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
    op.execute(f"INSERT INTO latest_parameter ({COLUMNS}, stored_at) SELECT {COLUMNS}, {SQLITE_STORED_AT} FROM latest")  # noqa: S608
    op.drop_table("latest")
    op.execute(
        LATEST.format(
            value="nullif(whole.parameters -> item.fullkey, 'null')",
            level="coalesce(whole.levels ->> item.fullkey, 'in_limits')",
            items="json_each(whole.parameters)",
        )
    )


def replace_in_postgresql() -> None:
    """Views follow a table that is renamed: those of `latest`, ours and others', are turned to the new one in place.

    So what was built upon them stays, and so do the rights of whoever reads them.
    """
    connection = op.get_bind()
    views = connection.exec_driver_sql(VIEWS_OF_LATEST).all()
    readers = connection.exec_driver_sql(READERS_OF_LATEST).scalars().all()
    op.rename_table("latest", "latest_parameter")
    op.execute("ALTER TABLE latest_parameter RENAME CONSTRAINT pk_latest TO pk_latest_parameter")
    op.add_column("latest_parameter", sa.Column("stored_at", Time))
    op.execute(f"UPDATE latest_parameter SET stored_at = {POSTGRESQL_STORED_AT}")  # noqa: S608
    op.alter_column("latest_parameter", "stored_at", nullable=False)
    op.execute(
        LATEST.format(
            value="nullif(item.value, 'null'::jsonb)",
            level="coalesce(whole.levels ->> item.key, 'in_limits')",
            items="jsonb_each(whole.parameters)",
        )
    )
    for name, query in views:
        connection.exec_driver_sql(f"CREATE OR REPLACE VIEW {name} AS {query}")
    for reader in readers:
        connection.exec_driver_sql(f"GRANT SELECT ON latest TO {reader}")
