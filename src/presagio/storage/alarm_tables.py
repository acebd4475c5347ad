"""The tables of what is scored on arrival, as the migrations leave them."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

_MOMENT = sa.DateTime(timezone=True)
# Nothing is NULL, not JSON's null.
JSONB = postgresql.JSONB(none_as_null=True)

RECEIPTS_TO_SCORE = sa.table(
    "receipts_to_score",
    sa.column("receipt_id", sa.BigInteger),
    sa.column("fleet", sa.Text),
    sa.column("bucket", sa.Text),
    sa.column("attempts", sa.Integer),
    sa.column("not_before", _MOMENT),
    sa.column("fault", sa.Text),
)

UNIT_EVENTS = sa.table(
    "unit_events",
    sa.column("fleet", sa.Text),
    sa.column("unit", sa.Text),
    sa.column("time", sa.Double),
    sa.column("kind", sa.Text),
    sa.column("at", sa.Text),
    sa.column("mode", sa.Text),
    sa.column("receipt_id", sa.BigInteger),
)

SCORED_RECEIPTS = sa.table(
    "scored_receipts",
    sa.column("receipt_id", sa.BigInteger),
    sa.column("fleet", sa.Text),
    sa.column("model", sa.Text),
    sa.column("version", sa.Text),
    sa.column("rows", sa.BigInteger),
    sa.column("units", sa.BigInteger),
    sa.column("keys", JSONB),
    sa.column("scored_at", _MOMENT),
)

UNIT_STATES = sa.table(
    "unit_states",
    sa.column("fleet", sa.Text),
    sa.column("unit", sa.Text),
    sa.column("state", sa.Text),
    sa.column("since", _MOMENT),
    sa.column("reading_time", sa.Double),
    sa.column("reading_at", sa.Text),
    sa.column("probability", sa.Double),
    sa.column("score", sa.Double),
    sa.column("label", sa.Boolean),
    sa.column("mode", sa.Text),
    sa.column("remaining_life", sa.Double),
    sa.column("remaining_low", sa.Double),
    sa.column("remaining_high", sa.Double),
    sa.column("receipt_id", sa.BigInteger),
    sa.column("model", sa.Text),
    sa.column("version", sa.Text),
    sa.column("diagnosis", JSONB),
    sa.column("memory", JSONB),
    sa.column("updated_at", _MOMENT),
    sa.column("rank", sa.SmallInteger),
    sa.column("calm", sa.Double),
)

ALARMS = sa.table(
    "alarms",
    sa.column("id", sa.BigInteger),
    sa.column("fleet", sa.Text),
    sa.column("unit", sa.Text),
    sa.column("mode", sa.Text),
    sa.column("opened_at", _MOMENT),
    sa.column("receipt_id", sa.BigInteger),
    sa.column("reading_time", sa.Double),
    sa.column("reading_at", sa.Text),
    sa.column("model", sa.Text),
    sa.column("version", sa.Text),
    sa.column("probability", sa.Double),
    sa.column("diagnosis", JSONB),
)

ALARM_ENTRIES = sa.table(
    "alarm_entries",
    sa.column("id", sa.BigInteger),
    sa.column("alarm_id", sa.BigInteger),
    sa.column("kind", sa.Text),
    sa.column("who", sa.Text),
    sa.column("why", sa.Text),
    sa.column("outcome", sa.Text),
    sa.column("at", _MOMENT),
    sa.column("detail", JSONB),
)

OPEN_ALARMS = sa.table(
    "open_alarms",
    sa.column("fleet", sa.Text),
    sa.column("unit", sa.Text),
    sa.column("mode", sa.Text),
    sa.column("alarm_id", sa.BigInteger),
)

ALARM_NOTICES = sa.table(
    "alarm_notices",
    sa.column("alarm_id", sa.BigInteger),
    sa.column("fleet", sa.Text),
)

AUDIT_LOG = sa.table(
    "audit_log",
    sa.column("id", sa.BigInteger),
    sa.column("at", _MOMENT),
    sa.column("who", sa.Text),
    sa.column("scope", sa.Text),
    sa.column("action", sa.Text),
    sa.column("target", sa.Text),
    sa.column("why", sa.Text),
    sa.column("detail", JSONB),
)
