"""Claims: what an object's outputs are called is settled before the first is written."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add claims and releases, and what receipts say besides counts."""
    op.alter_column("receipts", "etag", new_column_name="version")
    op.create_table(
        "claims",
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("bucket", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="1"),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()
        ),
        # PostgreSQL decides who an object and an output name belong to.
        sa.UniqueConstraint("bucket", "key", "version", "sha256", name="one_claim_an_object"),
        sa.UniqueConstraint("bucket", "name", name="one_claim_a_name"),
    )
    op.execute(
        "INSERT INTO claims (id, bucket, key, version, sha256, size_bytes, name, created_at) "
        "SELECT id, bucket, key, version, sha256, size_bytes, "
        "coalesce(processed_key, quarantine_key, id::text), created_at FROM receipts"
    )
    op.execute(
        "SELECT setval(pg_get_serial_sequence('claims', 'id'), "
        "(SELECT coalesce(max(id), 0) + 1 FROM claims), false)"
    )
    op.execute("ALTER TABLE receipts ALTER COLUMN id DROP IDENTITY")
    op.create_foreign_key("receipt_of_a_claim", "receipts", "claims", ["id"], ["id"])
    op.add_column(
        "receipts", sa.Column("duplicate_of", sa.BigInteger, sa.ForeignKey("receipts.id"))
    )
    op.add_column("receipts", sa.Column("message", sa.Text))
    for name in ("warnings", "curated_keys"):
        op.add_column("receipts", sa.Column(name, JSONB, nullable=False, server_default="[]"))
    for name in ("notes", "digests"):
        op.add_column("receipts", sa.Column(name, JSONB, nullable=False, server_default="{}"))
    op.drop_constraint("known_verdict", "receipts")
    op.create_check_constraint(
        "known_verdict",
        "receipts",
        "verdict IN ('processed', 'quarantined') "
        "OR (verdict = 'duplicate' AND duplicate_of IS NOT NULL)",
    )
    op.create_index("receipts_by_bytes", "receipts", ["bucket", "sha256"])
    op.create_table(
        "releases",
        sa.Column("receipt_id", sa.BigInteger, sa.ForeignKey("receipts.id"), primary_key=True),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()
        ),
    )


def downgrade() -> None:
    """Take it all back; receipts of duplicates go, since the old schema has no word for them."""
    op.drop_table("releases")
    op.execute("DELETE FROM receipts WHERE verdict = 'duplicate'")
    op.drop_index("receipts_by_bytes", "receipts")
    op.drop_constraint("known_verdict", "receipts")
    op.create_check_constraint(
        "known_verdict", "receipts", "verdict IN ('processed', 'quarantined')"
    )
    for name in ("digests", "notes", "curated_keys", "warnings", "message", "duplicate_of"):
        op.drop_column("receipts", name)
    op.drop_constraint("receipt_of_a_claim", "receipts")
    op.execute("ALTER TABLE receipts ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY")
    op.execute(
        "SELECT setval(pg_get_serial_sequence('receipts', 'id'), "
        "(SELECT coalesce(max(id), 0) + 1 FROM receipts), false)"
    )
    op.drop_table("claims")
    op.alter_column("receipts", "version", new_column_name="etag")
