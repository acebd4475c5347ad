"""Which parts of the curated data set hold readings of which unit, and of what times."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table; of parts that are there already nothing is known, so each may hold any."""
    op.create_table(
        "unit_parts",
        sa.Column("receipt_id", sa.BigInteger, sa.ForeignKey("receipts.id"), primary_key=True),
        sa.Column("part", sa.Integer, primary_key=True, comment="Place in curated_keys."),
        sa.Column("unit", sa.Text, primary_key=True, comment="Empty: it may hold any unit."),
        sa.Column("fleet", sa.Text, nullable=False),
        sa.Column("bucket", sa.Text, nullable=False),
        sa.Column("oldest", sa.Double, nullable=False, comment="As times are compared."),
        sa.Column("newest", sa.Double, nullable=False),
    )
    op.create_index("unit_parts_by_unit", "unit_parts", ["bucket", "fleet", "unit", "newest"])
    op.execute(
        "INSERT INTO unit_parts (receipt_id, part, unit, fleet, bucket, oldest, newest) "
        "SELECT id, place - 1, '', fleet, bucket, '-infinity', 'infinity' FROM receipts, "
        "jsonb_array_elements_text(curated_keys) WITH ORDINALITY AS listed (key, place) "
        "WHERE verdict = 'processed'"
    )


def downgrade() -> None:
    """Drop the table; everything in it follows from the parts."""
    op.drop_table("unit_parts")
