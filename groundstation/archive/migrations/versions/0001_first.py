"""Packets, receptions, latest values, quarantine, passes, elements and definitions."""

import sqlalchemy as sa
from alembic import op

from groundstation.archive.columns import Id, Json, Time

revision = "0001"
down_revision = None


def upgrade() -> None:
    create_packets()
    create_quarantine()
    create_provenance()
    create_passes()
    create_views(op.get_bind().dialect.name)


def create_packets() -> None:
    op.create_table(
        "packet",
        sa.Column("satellite", sa.Text, nullable=False),
        sa.Column("generated_at", Time, nullable=False),
        sa.Column("digest", sa.BigInteger, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("sequence", sa.BigInteger),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("received_at", Time, nullable=False),
        sa.Column("stored_at", Time, nullable=False),
        sa.Column("station", sa.Text, nullable=False),
        sa.Column("link", sa.Text, nullable=False),
        sa.Column("definition_hash", sa.Text, nullable=False),
        sa.Column("frame", sa.LargeBinary, nullable=False),
        sa.Column("parameters", Json, nullable=False),
        sa.Column("levels", Json),
        sa.Column("faults", Json),
        sa.Column("link_quality", Json),
        sa.PrimaryKeyConstraint("satellite", "generated_at", "digest", name="pk_packet"),
    )
    op.create_index("ix_packet_satellite_received_at", "packet", ["satellite", "received_at"])
    op.create_table(
        "reception",
        sa.Column("satellite", sa.Text, nullable=False),
        sa.Column("generated_at", Time, nullable=False),
        sa.Column("digest", sa.BigInteger, nullable=False),
        sa.Column("station", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("received_at", Time, nullable=False),
        sa.Column("stored_at", Time, nullable=False),
        sa.Column("link", sa.Text, nullable=False),
        sa.Column("link_quality", Json),
        sa.PrimaryKeyConstraint("satellite", "generated_at", "digest", "station", name="pk_reception"),
    )
    op.create_index("ix_reception_satellite_received_at", "reception", ["satellite", "received_at"])
    op.create_table(
        "latest",
        sa.Column("satellite", sa.Text, nullable=False),
        sa.Column("parameter", sa.Text, nullable=False),
        sa.Column("packet", sa.Text, nullable=False),
        sa.Column("generated_at", Time, nullable=False),
        sa.Column("received_at", Time, nullable=False),
        sa.Column("station", sa.Text, nullable=False),
        sa.Column("value", Json),
        sa.Column("level", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("satellite", "parameter", name="pk_latest"),
    )


def create_quarantine() -> None:
    op.create_table(
        "quarantine",
        sa.Column("id", Id, nullable=False),
        sa.Column("link", sa.Text, nullable=False),
        sa.Column("arrived_at", Time, nullable=False),
        sa.Column("digest", sa.BigInteger, nullable=False),
        sa.Column("stored_at", Time, nullable=False),
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.Column("payload_bytes", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_quarantine"),
        sa.UniqueConstraint("link", "arrived_at", "digest", name="uq_quarantine_link_arrived_at_digest"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_quarantine_arrived_at", "quarantine", ["arrived_at"])


def create_provenance() -> None:
    op.create_table(
        "elements",
        sa.Column("satellite", sa.Text, nullable=False),
        sa.Column("epoch", Time, nullable=False),
        sa.Column("digest", sa.BigInteger, nullable=False),
        sa.Column("norad_id", sa.Integer, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("admitted_at", Time, nullable=False),
        sa.Column("mean_elements", Json, nullable=False),
        sa.PrimaryKeyConstraint("satellite", "epoch", "digest", name="pk_elements"),
    )
    op.create_table(
        "definition",
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("satellite", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("first_used_at", Time, nullable=False),
        sa.Column("content", Json, nullable=False),
        sa.PrimaryKeyConstraint("hash", name="pk_definition"),
    )


def create_passes() -> None:
    op.create_table(
        "pass",
        sa.Column("id", Id, nullable=False),
        sa.Column("satellite", sa.Text, nullable=False),
        sa.Column("norad_id", sa.Integer, nullable=False),
        sa.Column("station", sa.Text, nullable=False),
        sa.Column("aos", Time),
        sa.Column("culmination", Time, nullable=False),
        sa.Column("tca", Time, nullable=False),
        sa.Column("los", Time),
        sa.Column("aos_azimuth_deg", sa.Double),
        sa.Column("culmination_azimuth_deg", sa.Double, nullable=False),
        sa.Column("los_azimuth_deg", sa.Double),
        sa.Column("max_elevation_deg", sa.Double, nullable=False),
        sa.Column("tca_range_km", sa.Double, nullable=False),
        sa.Column("elements_epoch", Time, nullable=False),
        sa.Column("predicted_at", Time, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_pass"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_pass_culmination", "pass", ["culmination"])


# One row a parameter, for people who type SQL into Grafana: `time` is what its panels plot, the stored columns are
# what an index can filter by. The two engines name the parts of a JSON value differently.
TELEMETRY = """
CREATE VIEW telemetry AS
SELECT {time} AS time, packet.generated_at, packet.received_at, packet.satellite, packet.station,
    packet.name AS packet, packet.kind, packet.sequence, item.key AS parameter,
    {number} AS value, {text} AS text, {level} AS level
FROM packet, {items} AS item
"""
LATEST = """
CREATE VIEW telemetry_latest AS
SELECT {time} AS time, latest.generated_at, latest.received_at, latest.satellite, latest.station, latest.packet,
    latest.parameter, {number} AS value, {text} AS text, latest.level
FROM latest{items}
"""


def create_views(engine: str) -> None:
    views = postgresql_views() if engine == "postgresql" else sqlite_views()
    for view in views:
        op.execute(view)


def sqlite_views() -> tuple[str, str]:
    number = "CASE WHEN item.type IN ('integer', 'real', 'true', 'false') THEN CAST(item.atom AS REAL) END"
    text = "CASE item.type WHEN 'true' THEN 'true' WHEN 'false' THEN 'false' ELSE CAST(item.atom AS TEXT) END"
    raised = "SELECT raised.value FROM json_each(packet.levels) AS raised WHERE raised.key = item.key"
    level = f"COALESCE(({raised}), 'in_limits')"
    return (
        TELEMETRY.format(
            time="packet.generated_at / 1e6",
            number=number,
            text=text,
            level=level,
            items="json_each(packet.parameters)",
        ),
        LATEST.format(
            time="latest.generated_at / 1e6",
            number=number,
            text=text,
            items=" LEFT JOIN json_each(latest.value) AS item ON TRUE",
        ),
    )


def postgresql_views() -> tuple[str, str]:
    def number(item: str) -> str:
        return (
            f"CASE jsonb_typeof({item}) WHEN 'number' THEN ({item} #>> '{{}}')::double precision "
            f"WHEN 'boolean' THEN ({item} #>> '{{}}')::boolean::integer END"
        )

    level = "COALESCE(packet.levels ->> item.key, 'in_limits')"
    return (
        TELEMETRY.format(
            time="packet.generated_at",
            number=number("item.value"),
            text="item.value #>> '{}'",
            level=level,
            items="jsonb_each(packet.parameters)",
        ),
        LATEST.format(
            time="latest.generated_at", number=number("latest.value"), text="latest.value #>> '{}'", items=""
        ),
    )
