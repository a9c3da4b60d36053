"""Equal messages of an hour are one row of the quarantine, which counts them; what is there already stays as it is."""

import sqlalchemy as sa
from alembic import op

from groundstation.archive.columns import Time

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("quarantine", sa.Column("hour", Time))
    op.add_column("quarantine", sa.Column("last_arrived_at", Time))
    op.add_column("quarantine", sa.Column("times", sa.BigInteger))
    # As if each arrival were an hour: the old key was unique by it.
    op.execute("UPDATE quarantine SET hour = arrived_at, last_arrived_at = arrived_at, times = 1")
    # SQLite cannot change a constraint, so there the table is written anew.
    with op.batch_alter_table("quarantine", table_kwargs={"sqlite_autoincrement": True}) as quarantine:
        for name, kind in (("hour", Time()), ("last_arrived_at", Time()), ("times", sa.BigInteger())):
            quarantine.alter_column(name, existing_type=kind, nullable=False)
        quarantine.drop_constraint("uq_quarantine_link_arrived_at_digest", type_="unique")
        quarantine.create_unique_constraint(
            "uq_quarantine_link_hour_reason_digest", ["link", "hour", "reason", "digest"]
        )
