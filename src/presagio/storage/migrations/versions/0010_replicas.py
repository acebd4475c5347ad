"""What replicas of the API share: accounts, wrong passwords, and what was taken once."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_NOW = sa.func.now()


def _moment(name: str) -> "sa.Column[object]":
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False, server_default=_NOW)


def upgrade() -> None:
    """Create the tables; the API's role may read and write these, and nothing else."""
    op.create_table(
        "api_accounts",
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("scopes", ARRAY(sa.Text), nullable=False),
        _moment("changed_at"),
        sa.CheckConstraint("kind IN ('user', 'client')", name="known_kind"),
    )
    op.create_table(
        "api_account_files",
        sa.Column("sha256", sa.Text, primary_key=True, comment="Of an imported accounts.json."),
        _moment("imported_at"),
    )
    # Not logged: they count for a minute, and after a crash of the server for none.
    op.create_table(
        "api_attempts",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("network", sa.Text, nullable=False),
        sa.Column("known", sa.Boolean, nullable=False, comment="Counted for the pair alone."),
        sa.Column("pending", sa.Boolean, nullable=False),
        sa.Column(
            "at", sa.DateTime(timezone=True), nullable=False,
            server_default=sa.func.clock_timestamp(),
        ),
        prefixes=["UNLOGGED"],
    )  # fmt: skip
    op.create_index("api_attempts_by_account", "api_attempts", ["account", "at"])
    op.create_index("api_attempts_by_network", "api_attempts", ["network", "at"])
    op.create_index("api_attempts_by_time", "api_attempts", ["at"])
    op.create_table(
        "api_known_networks",
        sa.Column("account", sa.Text, primary_key=True),
        sa.Column("network", sa.Text, primary_key=True),
        _moment("seen_at"),
    )
    op.create_index("api_known_networks_by_time", "api_known_networks", ["seen_at"])
    op.create_table(
        "api_requests",
        sa.Column("digest", sa.LargeBinary, primary_key=True, comment="Of route and content."),
        sa.Column("answer", JSONB),
        _moment("at"),
    )
    op.create_index("api_requests_by_time", "api_requests", ["at"])
    op.execute(
        "DO $$ DECLARE name text; BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = "
        "'presagio_api') THEN FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = "
        "current_schema() AND tablename LIKE 'api\\_%' LOOP EXECUTE format('GRANT SELECT, INSERT, "
        "UPDATE, DELETE ON %I TO presagio_api', name); END LOOP; END IF; END $$"
    )


def downgrade() -> None:
    """Drop the tables: accounts that are in them only are lost."""
    for table in ("api_requests", "api_known_networks", "api_attempts", "api_account_files",
                  "api_accounts"):  # fmt: skip
        op.drop_table(table)
