"""What the replicas of the API serve, and the champion that they have agreed on."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_ROLE = "presagio_api"


def upgrade() -> None:
    """Create the tables; the API's role may use these, where there is one."""
    # What lives as long as a process does need not outlive a crash of the server.
    op.create_table(
        "api_processes",
        sa.Column("process", sa.Uuid, primary_key=True),
        sa.Column("replica", sa.Text, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("seen", sa.DateTime(timezone=True), nullable=False, comment="It was alive then."),
        prefixes=["UNLOGGED"],
    )
    op.create_table(
        "api_states",
        sa.Column(
            "process", sa.Uuid, sa.ForeignKey("api_processes.process", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("topic", sa.Text, primary_key=True, comment="What it is a state of."),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("degraded", sa.Boolean, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("serves", sa.Text, nullable=False, comment="As name/version/run."),
        sa.Column("prepared", sa.Text, nullable=False, comment="Ready to be served; likewise."),
        sa.Column("refused", sa.Text, nullable=False, comment="Cannot be served; likewise."),
        sa.Column(
            "looked", sa.Double, nullable=False,
            comment="When its last finished look began, in seconds since 1970.",
        ),
        prefixes=["UNLOGGED"],
    )  # fmt: skip
    op.create_table(
        "api_champions",
        sa.Column("topic", sa.Text, primary_key=True),
        sa.Column("woken", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column(
            "generation", sa.BigInteger, nullable=False, server_default="0",
            comment="How often a champion was agreed on.",
        ),
        sa.Column("name", sa.Text),
        sa.Column("version", sa.Text),
        sa.Column("run_id", sa.Text),
        sa.Column("registered_digest", sa.Text),
        sa.Column("artifact_digest", sa.Text, comment="Of the artifact in the data bucket."),
        sa.Column("at", sa.DateTime(timezone=True), comment="All serve it from then on."),
    )  # fmt: skip
    for table, rights in (
        ("api_processes", "SELECT, INSERT, UPDATE, DELETE"),
        ("api_states", "SELECT, INSERT, UPDATE, DELETE"),
        ("api_champions", "SELECT, INSERT, UPDATE"),
    ):
        op.execute(
            f"DO $$ BEGIN IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = '{_ROLE}') THEN "  # noqa: S608
            f"GRANT {rights} ON {table} TO {_ROLE}; END IF; END $$"
        )


def downgrade() -> None:
    """Drop the tables; replicas follow the alias each by itself then."""
    for table in ("api_champions", "api_states", "api_processes"):
        op.drop_table(table)
