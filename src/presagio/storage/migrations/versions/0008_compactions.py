"""Which larger objects hold the rows of small files, and which originals are kept no more."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables; nothing has been put together yet."""
    op.create_table(
        "compactions",
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("kind", sa.Text, nullable=False, comment="curated or answers."),
        sa.Column("fleet", sa.Text, nullable=False),
        sa.Column("bucket", sa.Text, nullable=False),
        sa.Column("place", sa.Text, nullable=False, comment="Of answers: their folder."),
        sa.Column("keys", JSONB, nullable=False, server_default="[]"),
        sa.Column("digests", JSONB, nullable=False, server_default="{}"),
        sa.Column("files", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("rows", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()
        ),
        sa.Column("committed_at", sa.DateTime(timezone=True), comment="Until then it is begun."),
    )
    # Whoever comes after a kill begins anew in the place of the one that was begun.
    op.create_index(
        "compactions_begun", "compactions", ["kind", "fleet", "bucket", "place"], unique=True,
        postgresql_where=sa.text("committed_at IS NULL"),
    )  # fmt: skip
    op.create_table(
        "compacted_receipts",
        sa.Column("receipt_id", sa.BigInteger, sa.ForeignKey("receipts.id"), primary_key=True),
        sa.Column(
            "compaction_id", sa.BigInteger, sa.ForeignKey("compactions.id"), nullable=False,
            index=True,
        ),
        sa.Column("removed_at", sa.DateTime(timezone=True), comment="When its own parts were."),
    )  # fmt: skip
    op.create_table(
        "compacted_spans",
        sa.Column(
            "compaction_id", sa.BigInteger, sa.ForeignKey("compactions.id"), primary_key=True
        ),
        sa.Column("part", sa.Integer, primary_key=True, comment="Place in keys."),
        sa.Column("unit", sa.Text, primary_key=True, comment="Empty: it may hold any unit."),
        sa.Column("fleet", sa.Text, nullable=False),
        sa.Column("bucket", sa.Text, nullable=False),
        sa.Column("oldest", sa.Double, nullable=False, comment="As times are compared."),
        sa.Column("newest", sa.Double, nullable=False),
    )
    op.create_index(
        "compacted_spans_by_unit", "compacted_spans", ["bucket", "fleet", "unit", "newest"]
    )
    op.create_index(
        "compacted_spans_by_oldest", "compacted_spans", ["bucket", "fleet", "unit", "oldest"]
    )
    op.create_table(
        "compacted_answers",
        sa.Column("bucket", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column(
            "compaction_id", sa.BigInteger, sa.ForeignKey("compactions.id"), nullable=False,
            index=True,
        ),
    )  # fmt: skip
    op.create_table(
        "removed_originals",
        sa.Column("bucket", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("removed_at", sa.DateTime(timezone=True), comment="Until then it may be there."),
    )


def downgrade() -> None:
    """Drop the tables; which originals are kept no more is not known then.

    Raises
    ------
    RuntimeError
        If there is a compaction: its rows lie nowhere else.
    """
    op.drop_table("removed_originals")
    found = op.get_bind().execute(sa.text("SELECT count(*) FROM compactions")).scalar_one()
    if found:
        raise RuntimeError(f"{found} compactions hold rows whose small files are removed")
    for table in ("compacted_answers", "compacted_spans", "compacted_receipts", "compactions"):
        op.drop_table(table)
