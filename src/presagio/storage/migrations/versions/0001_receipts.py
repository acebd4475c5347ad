"""Receipts: one row for each ingested object."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table of receipts."""
    op.create_table(
        "receipts",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("bucket", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("etag", sa.Text, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("verdict", sa.Text, nullable=False),
        sa.Column("rows_in", sa.BigInteger, nullable=False),
        sa.Column("rows_processed", sa.BigInteger, nullable=False),
        sa.Column("rows_quarantined", sa.BigInteger, nullable=False),
        sa.Column("reasons", JSONB, nullable=False),
        sa.Column("processed_key", sa.Text),
        sa.Column("quarantine_key", sa.Text),
        sa.Column("archive_key", sa.Text, nullable=False),
        sa.Column("run_id", sa.Text),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()
        ),
        # PostgreSQL decides who files an object: of two runs at once, one waits for the other.
        sa.UniqueConstraint("bucket", "key", "etag", "sha256", name="one_receipt_an_object"),
        sa.UniqueConstraint("bucket", "processed_key", name="one_receipt_a_processed_file"),
        sa.UniqueConstraint("bucket", "quarantine_key", name="one_receipt_a_quarantined_file"),
        sa.CheckConstraint("verdict IN ('processed', 'quarantined')", name="known_verdict"),
        sa.CheckConstraint("rows_in = rows_processed + rows_quarantined", name="no_row_lost"),
    )


def downgrade() -> None:
    """Drop the table of receipts."""
    op.drop_table("receipts")
