"""Claims and receipts say whose they are; all that are there already are the default fleet's."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; names of outputs are a fleet's own from now on."""
    for table in ("claims", "receipts"):
        op.add_column(
            table,
            sa.Column(
                "fleet", sa.Text, nullable=False, server_default="",
                comment="Name of the fleet; empty for the default fleet.",
            ),
        )  # fmt: skip
    op.drop_constraint("one_claim_a_name", "claims")
    op.create_unique_constraint("one_claim_a_name", "claims", ["bucket", "fleet", "name"])
    op.create_index("receipts_by_fleet", "receipts", ["fleet", "id"])


def downgrade() -> None:
    """Drop the column; refused while other fleets have rows, which would become the default's."""
    op.execute(
        "DO $$ BEGIN IF EXISTS (SELECT 1 FROM claims WHERE fleet <> '') THEN "
        "RAISE EXCEPTION 'claims of other fleets are there'; END IF; END $$"
    )
    op.drop_index("receipts_by_fleet", "receipts")
    op.drop_constraint("one_claim_a_name", "claims")
    op.create_unique_constraint("one_claim_a_name", "claims", ["bucket", "name"])
    for table in ("claims", "receipts"):
        op.drop_column(table, "fleet")
