"""Promotions say up to which receipt a version has learned, so that new rows can be told."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; what is known of earlier versions stays as it is."""
    op.add_column("promotions", sa.Column("newest_receipt", sa.BigInteger))


def downgrade() -> None:
    """Drop the column."""
    op.drop_column("promotions", "newest_receipt")
