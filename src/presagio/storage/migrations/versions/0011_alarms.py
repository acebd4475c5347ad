"""What is scored on arrival: receipts to score, the newest state a unit, alarms, and who did what.

A trigger notes each file that is taken as one to score, whichever version of the program files it.
Alarms, their entries and the audit log can only be added to.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

# ruff: noqa: S608 - tables and schema are the database's
_ADDED_TO = ("alarms", "alarm_entries", "audit_log")
_KINDS = "'opened', 'acknowledged', 'assigned', 'noted', 'closed'"
_RANK = "CASE state WHEN 'alarm' THEN 0 WHEN 'watch' THEN 1 ELSE 2 END"
_OUTCOMES = "'failure', 'repair', 'false', 'quiet', 'repaired'"


def _moment(name: str, *, now: bool = True) -> sa.Column[object]:
    default = sa.func.now() if now else None
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False, server_default=default)


def _create_scored() -> None:
    receipt = sa.ForeignKey("receipts.id", ondelete="CASCADE")
    op.create_table(
        "receipts_to_score",
        sa.Column("receipt_id", sa.BigInteger, receipt, primary_key=True),
        sa.Column("fleet", sa.Text, nullable=False),
        sa.Column("bucket", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("not_before", sa.DateTime(timezone=True), comment="Put off until then."),
        sa.Column("fault", sa.Text, comment="Why it could not be scored last time."),
    )
    op.create_index(
        "receipts_to_score_by_fleet", "receipts_to_score", ["fleet", "bucket", "receipt_id"]
    )
    op.create_table(
        "scored_receipts",
        sa.Column(
            "receipt_id", sa.BigInteger, sa.ForeignKey("receipts.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("fleet", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False, comment="Empty of a log of events."),
        sa.Column("version", sa.Text, nullable=False, comment="Empty of a log of events."),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("units", sa.BigInteger, nullable=False),
        sa.Column("keys", JSONB, nullable=False, comment="Where the scores lie."),
        _moment("scored_at"),
    )  # fmt: skip
    op.create_index("scored_receipts_by_time", "scored_receipts", ["fleet", "scored_at"])

    op.create_table(
        "unit_events",
        sa.Column("fleet", sa.Text, primary_key=True),
        sa.Column("unit", sa.Text, primary_key=True),
        sa.Column("time", sa.Double, primary_key=True, comment="As times are compared."),
        sa.Column("kind", sa.Text, primary_key=True, comment="failure, repair or error."),
        sa.Column("mode", sa.Text, primary_key=True, comment="Empty for none."),
        sa.Column("at", sa.Text, nullable=False, comment="As it is written."),
        sa.Column("receipt_id", sa.BigInteger, nullable=False),
        comment="Events of the logs that have been read on arrival.",
    )


def _create_states() -> None:
    op.create_table(
        "unit_states",
        sa.Column("fleet", sa.Text, primary_key=True),
        sa.Column("unit", sa.Text, primary_key=True),
        sa.Column("state", sa.Text, nullable=False),
        _moment("since"),
        sa.Column("reading_time", sa.Double, comment="As times are compared; none without times."),
        sa.Column("reading_at", sa.Text, comment="As it is written."),
        sa.Column("probability", sa.Double),
        sa.Column("score", sa.Double),
        sa.Column("label", sa.Boolean, nullable=False),
        sa.Column("mode", sa.Text),
        sa.Column("remaining_life", sa.Double),
        sa.Column("remaining_low", sa.Double),
        sa.Column("remaining_high", sa.Double),
        sa.Column("receipt_id", sa.BigInteger, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("diagnosis", JSONB),
        sa.Column("memory", JSONB, nullable=False, comment="What the alarm rule goes on from."),
        _moment("updated_at"),
        # The worst first.
        sa.Column("rank", sa.SmallInteger, sa.Computed(_RANK, persisted=True)),
        sa.Column("calm", sa.Double, sa.Computed("-coalesce(probability, 0)", persisted=True)),
        sa.CheckConstraint("state IN ('alarm', 'watch', 'well')", name="known_state"),
    )  # fmt: skip
    op.create_index("unit_states_worst", "unit_states", ["fleet", "rank", "calm", "unit"])
    # States are counted from it alone.
    op.create_index("unit_states_newest", "unit_states", ["fleet", "updated_at", "state"])


def _create_alarms() -> None:
    op.create_table(
        "alarms",
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("fleet", sa.Text, nullable=False),
        sa.Column("unit", sa.Text, nullable=False),
        sa.Column("mode", sa.Text, nullable=False, comment="Empty where none is named."),
        _moment("opened_at"),
        sa.Column(
            "receipt_id", sa.BigInteger, nullable=False, comment="Of the confirming reading."
        ),
        sa.Column("reading_time", sa.Double),
        sa.Column("reading_at", sa.Text),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("probability", sa.Double),
        sa.Column("diagnosis", JSONB),
    )
    op.create_index("alarms_by_unit", "alarms", ["fleet", "unit", "id"])
    op.create_index("alarms_by_fleet", "alarms", ["fleet", "id"])
    op.create_table(
        "alarm_entries",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("alarm_id", sa.BigInteger, sa.ForeignKey("alarms.id"), nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False, server_default=""),
        sa.Column("outcome", sa.Text),
        _moment("at"),
        sa.Column("detail", JSONB, nullable=False, server_default="{}"),
        sa.CheckConstraint(f"kind IN ({_KINDS})", name="known_kind"),
        sa.CheckConstraint(f"outcome IN ({_OUTCOMES})", name="known_outcome"),
        sa.CheckConstraint("(kind = 'closed') = (outcome IS NOT NULL)", name="closed_has_outcome"),
    )
    op.create_index("alarm_entries_by_alarm", "alarm_entries", ["alarm_id", "id"])
    op.create_index(
        "alarm_entries_once", "alarm_entries", ["alarm_id", "kind"], unique=True,
        postgresql_where=sa.text("kind IN ('opened', 'closed')"),
    )  # fmt: skip
    op.create_table(
        "open_alarms",
        sa.Column("fleet", sa.Text, primary_key=True),
        sa.Column("unit", sa.Text, primary_key=True),
        sa.Column("mode", sa.Text, primary_key=True),
        # Written first: whose row is refused writes no alarm.
        sa.Column(
            "alarm_id", sa.BigInteger,
            sa.ForeignKey("alarms.id", deferrable=True, initially="DEFERRED"),
            nullable=False, unique=True,
        ),
    )  # fmt: skip
    op.create_index("open_alarms_by_fleet", "open_alarms", ["fleet", "alarm_id"])
    op.create_table(
        "alarm_notices",
        sa.Column("alarm_id", sa.BigInteger, sa.ForeignKey("alarms.id"), primary_key=True),
        sa.Column("fleet", sa.Text, nullable=False, index=True),
        comment="Alarms of which nobody has been notified yet.",
    )


def _create_audit() -> None:
    op.create_table(
        "audit_log",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        _moment("at"),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("scope", sa.Text, nullable=False, comment="What allowed it."),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False, server_default=""),
        sa.Column("detail", JSONB, nullable=False, server_default="{}"),
    )
    op.create_index("audit_log_by_target", "audit_log", ["target", "id"])


def _create_triggers() -> None:
    op.execute(
        "CREATE FUNCTION only_added_to() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION '% can only be added to', TG_TABLE_NAME; END $$"
    )
    for table in _ADDED_TO:
        op.execute(
            f"CREATE TRIGGER only_added_to BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "EXECUTE FUNCTION only_added_to()"
        )
    op.execute(
        "CREATE FUNCTION note_receipts_to_score() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "INSERT INTO receipts_to_score (receipt_id, fleet, bucket) "
        "SELECT id, fleet, bucket FROM added WHERE verdict = 'processed' AND NOT EXISTS "
        "(SELECT FROM scored_receipts WHERE receipt_id = added.id) ON CONFLICT DO NOTHING; "
        "RETURN NULL; END $$"
    )
    for event in ("INSERT", "UPDATE"):
        op.execute(
            f"CREATE TRIGGER receipts_{event.lower()}_to_score AFTER {event} ON receipts "
            "REFERENCING NEW TABLE AS added FOR EACH STATEMENT "
            "EXECUTE FUNCTION note_receipts_to_score()"
        )
    # Whoever closes the last case of a unit need not be allowed to write states. No table of a
    # session of theirs is taken for one of these.
    schema = op.get_bind().execute(sa.text("SELECT quote_ident(current_schema())")).scalar_one()
    op.execute(
        "CREATE FUNCTION leave_alarm() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER "
        f"SET search_path TO {schema}, pg_temp AS $$ BEGIN "
        "UPDATE unit_states SET state = CASE WHEN label OR (memory ->> 'on')::boolean "
        "THEN 'watch' ELSE 'well' END, since = now() "
        "WHERE fleet = OLD.fleet AND unit = OLD.unit AND state = 'alarm' AND NOT EXISTS "
        "(SELECT FROM open_alarms WHERE fleet = OLD.fleet AND unit = OLD.unit); "
        "RETURN NULL; END $$"
    )
    op.execute(
        "CREATE TRIGGER leave_alarm AFTER DELETE ON open_alarms "
        "FOR EACH ROW EXECUTE FUNCTION leave_alarm()"
    )


def upgrade() -> None:
    """Create the tables; files that have been taken are to be scored, once there is a champion."""
    # As a filing takes them; none may come between the triggers and what is noted of before.
    op.execute("LOCK TABLE receipts IN SHARE ROW EXCLUSIVE MODE")
    _create_scored()
    _create_states()
    _create_alarms()
    _create_audit()
    op.execute(
        "INSERT INTO receipts_to_score (receipt_id, fleet, bucket) "
        "SELECT id, fleet, bucket FROM receipts WHERE verdict = 'processed'"
    )
    _create_triggers()


def downgrade() -> None:
    """Drop it all: cases and what people did are lost."""
    for event in ("insert", "update"):
        op.execute(f"DROP TRIGGER receipts_{event}_to_score ON receipts")
    for table in (
        "audit_log", "alarm_notices", "open_alarms", "alarm_entries", "alarms", "unit_states",
        "unit_events", "scored_receipts", "receipts_to_score",
    ):  # fmt: skip
        op.drop_table(table)
    for function in ("only_added_to", "note_receipts_to_score", "leave_alarm"):
        op.execute(f"DROP FUNCTION {function}")
