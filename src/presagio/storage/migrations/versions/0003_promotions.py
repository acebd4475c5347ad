"""Promotions: MLflow keeps no history of an alias, so it is kept here."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the ledger of promotions, to which can only be added."""
    op.create_table(
        "promotions",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("previous", sa.Text),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("forced", sa.Boolean, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("figures", JSONB, nullable=False),
        sa.Column("data_sha256", sa.Text),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()
        ),
        sa.CheckConstraint("kind IN ('promotion', 'rollback', 'refusal')", name="known_kind"),
    )
    op.create_index("promotions_by_model", "promotions", ["model", "id"])
    op.execute(
        "CREATE FUNCTION promotions_stay() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'promotions can only be added'; END $$"
    )
    op.execute(
        "CREATE TRIGGER promotions_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON promotions "
        "EXECUTE FUNCTION promotions_stay()"
    )


def downgrade() -> None:
    """Drop the ledger of promotions."""
    op.drop_table("promotions")
    op.execute("DROP FUNCTION promotions_stay")
