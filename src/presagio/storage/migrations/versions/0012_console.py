"""Sessions of the console, and what its account may do with the tables that there are."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

# Tables of the API are its own; of accounts the console sees all but the hashes.
_GRANTS = """
DO $$ DECLARE name text; BEGIN
IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'presagio_console') THEN
  FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = current_schema()
      AND tablename NOT LIKE 'api\\_%' LOOP
    EXECUTE format('GRANT SELECT ON %I TO presagio_console', name);
  END LOOP;
  GRANT SELECT (kind, name, scopes, changed_at) ON api_accounts TO presagio_console;
  GRANT INSERT, UPDATE, DELETE ON console_sessions TO presagio_console;
  GRANT INSERT ON promotions, releases, alarm_entries, audit_log TO presagio_console;
  GRANT DELETE ON open_alarms TO presagio_console;
END IF; END $$
"""
_NOW = sa.func.now()


def upgrade() -> None:
    """Create the table; the console's role gets its rights, where there is one."""
    op.create_table(
        "console_sessions",
        sa.Column(
            "digest", sa.LargeBinary, primary_key=True, comment="SHA-256 of the cookie's secret."
        ),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("scopes", ARRAY(sa.Text), nullable=False),
        sa.Column(
            "account_changed_at", sa.DateTime(timezone=True),
            comment="Since when the account had its secret; none of one that is built in.",
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=_NOW),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=False, server_default=_NOW),
    )  # fmt: skip
    op.create_index("console_sessions_by_name", "console_sessions", ["name"])
    op.execute(_GRANTS)


def downgrade() -> None:
    """Drop the table: everybody has to sign in again."""
    op.drop_table("console_sessions")
