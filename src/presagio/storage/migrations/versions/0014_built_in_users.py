"""Since when built-in users have their password, and each log's events by themselves."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_GRANTS = """
DO $$ BEGIN
IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'presagio_api') THEN
  GRANT SELECT, INSERT, UPDATE, DELETE ON api_built_in_users TO presagio_api;
END IF;
IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'presagio_console') THEN
  GRANT SELECT (name, changed_at) ON api_built_in_users TO presagio_console;
END IF; END $$
"""
_KEY = ("fleet", "unit", "time", "kind", "mode")


def upgrade() -> None:
    """Create the table; of an event that several logs tell of, each keeps its row from now on."""
    op.create_table(
        "api_built_in_users",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column(
            "changed_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()
        ),
    )
    op.execute(_GRANTS)
    # What everybody could do without a password ends where passwords are asked for again.
    op.execute("DELETE FROM console_sessions WHERE name = 'everybody'")
    op.drop_constraint("unit_events_pkey", "unit_events")
    op.create_primary_key("unit_events_pkey", "unit_events", [*_KEY, "receipt_id"])
    op.create_index("unit_events_by_receipt", "unit_events", ["receipt_id"])


def downgrade() -> None:
    """Take it back: of an event that several logs tell of, the first one's row stays."""
    op.drop_index("unit_events_by_receipt", "unit_events")
    op.drop_constraint("unit_events_pkey", "unit_events")
    same = " AND ".join(f"a.{name} = b.{name}" for name in _KEY)
    op.execute(
        "DELETE FROM unit_events AS a USING unit_events AS b "  # noqa: S608 - its columns
        f"WHERE {same} AND a.receipt_id > b.receipt_id"
    )
    op.create_primary_key("unit_events_pkey", "unit_events", [*_KEY])
    op.drop_table("api_built_in_users")
