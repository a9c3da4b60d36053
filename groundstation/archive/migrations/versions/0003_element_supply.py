"""The supply of elements: how each source was last asked, and which sets were refused."""

import sqlalchemy as sa
from alembic import op

from groundstation.archive.columns import Json, Time

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "element_fetch",
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("asked_at", Time, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("allowed_at", Time, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("succeeded_at", Time),
        sa.Column("validators", Json),
        sa.PrimaryKeyConstraint("address", name="pk_element_fetch"),
    )
    op.create_table(
        "elements_refused",
        sa.Column("satellite", sa.Text, nullable=False),
        sa.Column("epoch", Time, nullable=False),
        sa.Column("digest", sa.BigInteger, nullable=False),
        sa.Column("norad_id", sa.Integer, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("refused_at", Time, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("mean_elements", Json, nullable=False),
        sa.PrimaryKeyConstraint("satellite", "epoch", "digest", name="pk_elements_refused"),
    )
