"""How often a predicted pass moved: calendars ask for it."""

import sqlalchemy as sa
from alembic import op

from groundstation.archive.columns import Time

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("pass", sa.Column("revision", sa.Integer, nullable=False, server_default="0"))
    op.add_column("pass", sa.Column("revised_at", Time))
