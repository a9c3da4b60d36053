"""Contacts: what each station's antenna takes."""

import sqlalchemy as sa
from alembic import op

from groundstation.archive.columns import Id, Time

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "contact",
        sa.Column("id", Id, nullable=False),
        sa.Column("station", sa.Text, nullable=False),
        sa.Column("satellite", sa.Text, nullable=False),
        sa.Column("norad_id", sa.Integer, nullable=False),
        sa.Column("pass_id", sa.BigInteger),
        sa.Column("starts_at", Time, nullable=False),
        sa.Column("ends_at", Time, nullable=False),
        sa.Column("max_elevation_deg", sa.Double, nullable=False),
        sa.Column("weight", sa.Double, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("planned_at", Time, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_contact"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_contact_state_ends_at", "contact", ["state", "ends_at"])
