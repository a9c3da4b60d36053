"""Roll-ups by the hour, and the marks of hours that are to be rolled up: at first every hour that has packets."""

import sqlalchemy as sa
from alembic import op

from groundstation.archive.columns import Id, Time

revision = "0005"
down_revision = "0004"

VIEW = """
CREATE VIEW telemetry_1h AS
SELECT {time} AS time, rollup_1h.hour, rollup_1h.satellite, rollup_1h.parameter,
    rollup_1h.min, rollup_1h.max, rollup_1h.mean, rollup_1h.n
FROM rollup_1h
"""


def upgrade() -> None:
    op.create_table(
        "rollup_1h",
        sa.Column("satellite", sa.Text, nullable=False),
        sa.Column("parameter", sa.Text, nullable=False),
        sa.Column("hour", Time, nullable=False),
        sa.Column("min", sa.Double, nullable=False),
        sa.Column("max", sa.Double, nullable=False),
        sa.Column("mean", sa.Double, nullable=False),
        sa.Column("n", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("satellite", "parameter", "hour", name="pk_rollup_1h"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "rollup_dirty",
        sa.Column("id", Id, nullable=False),
        sa.Column("satellite", sa.Text, nullable=False),
        sa.Column("hour", Time, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_rollup_dirty"),
        sqlite_autoincrement=True,
    )
    if op.get_bind().dialect.name == "postgresql":
        hour, time = "date_trunc('hour', generated_at)", "rollup_1h.hour"
    else:  # % keeps the sign, and an hour before 1970 begins below
        hour = "generated_at - ((generated_at % 3600000000) + 3600000000) % 3600000000"
        time = "rollup_1h.hour / 1e6"
    op.execute(f"INSERT INTO rollup_dirty (satellite, hour) SELECT DISTINCT satellite, {hour} FROM packet")  # noqa: S608  (ours)
    op.execute(VIEW.format(time=time))
