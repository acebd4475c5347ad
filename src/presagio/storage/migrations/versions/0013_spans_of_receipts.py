"""Indexes in whose order receipts are read in pages, and by which what refers to one is found."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the indexes; filings wait meanwhile, a minute or so for ten million files."""
    # Files below a prefix, in the order of their keys; which of them are wanted is in it too.
    op.execute(
        "CREATE INDEX receipts_below ON receipts (key text_pattern_ops, id, fleet, bucket, verdict)"
    )
    op.drop_index("receipts_by_key", "receipts")
    # Whoever removes a receipt is asked whether another refers to it.
    op.create_index(
        "receipts_duplicates", "receipts", ["duplicate_of"],
        postgresql_where=sa.text("duplicate_of IS NOT NULL"),
    )  # fmt: skip
    op.create_index(
        "receipts_without_rows", "receipts", ["fleet", "bucket", "id"],
        postgresql_where=sa.text("rows_processed = 0"),
    )  # fmt: skip
    op.create_index("receipts_by_original", "receipts", ["bucket", "archive_key"])


def downgrade() -> None:
    """Take them back."""
    op.execute("CREATE INDEX receipts_by_key ON receipts (key text_pattern_ops)")
    for name in (
        "receipts_below", "receipts_duplicates", "receipts_without_rows", "receipts_by_original",
    ):  # fmt: skip
        op.drop_index(name, "receipts")
