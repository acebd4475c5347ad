"""Sums of the receipts are kept as receipts come, claims say whether they are filed, and indexes.

Three triggers keep the sums and the mark in the transaction of the receipt, whichever version of
the program writes it. A connection adds to its share of the sums: filings do not wait for each
other. What is removed from the receipts stays in the sums, as the share -1.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# ruff: noqa: S608 - tables and signs are this file's constants
_SHARES = 16
_EVENTS = {
    "INSERT": "NEW TABLE AS added",
    "UPDATE": "OLD TABLE AS removed NEW TABLE AS added",
    "DELETE": "OLD TABLE AS removed",
}


def _counts(table: str, sign: str, share: str) -> str:
    """Return a query of what receipts add to the sums, one row a count."""
    columns = f"{share} AS share, created_at FROM {table}"
    return (
        f"SELECT fleet, 'files' AS kind, verdict AS name, {sign}1 AS number, {columns} "
        f"UNION ALL SELECT fleet, 'rows', 'processed', {sign}rows_processed, {columns} "
        f"UNION ALL SELECT fleet, 'rows', 'quarantined', {sign}rows_quarantined, {columns} "
        f"UNION ALL SELECT fleet, 'faults', f.key, {sign}f.value::bigint, {columns}, "
        "jsonb_each_text(reasons) AS f"
    )


def _add(counts: str) -> str:
    # In one order, so that two that add to the same sums cannot wait for each other in a circle.
    return (
        "INSERT INTO receipt_totals AS kept (fleet, kind, name, share, number, newest) "
        "SELECT fleet, kind, name, share, sum(number), max(created_at) "
        f"FROM ({counts}) AS counts GROUP BY 1, 2, 3, 4 HAVING sum(number) <> 0 "
        "ORDER BY 1, 2, 3, 4 "
        "ON CONFLICT (fleet, kind, name, share) DO UPDATE SET "
        "number = kept.number + excluded.number, newest = greatest(kept.newest, excluded.newest)"
    )


def _mark_claims(filed: str, table: str) -> str:
    return (
        f"UPDATE claims SET filed = {filed} FROM {table} "
        f"WHERE claims.id = {table}.id AND claims.filed <> {filed}"
    )


def _create_triggers() -> None:
    here = f"pg_backend_pid() % {_SHARES}"
    added, removed = _counts("added", "", here), _counts("removed", "-", here)
    removed_for_good = _counts("removed", "", "-1")
    bodies = {
        "INSERT": (_add(added), _mark_claims("true", "added")),
        "UPDATE": (_add(f"{added} UNION ALL {removed}"),),
        "DELETE": (
            _add(f"{removed} UNION ALL {removed_for_good}"),
            _mark_claims("false", "removed"),
        ),
    }
    for event, statements in bodies.items():
        name = f"receipts_{event.lower()}_counts"
        op.execute(
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN {'; '.join(statements)}; RETURN NULL; END $$"
        )
        op.execute(
            f"CREATE TRIGGER {name} AFTER {event} ON receipts REFERENCING {_EVENTS[event]} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION {name}()"
        )


def upgrade() -> None:
    """Add it all; what is there is counted while nobody files, a minute for ten million files."""
    # Receipts first, as a filing takes them.
    op.execute("LOCK TABLE receipts IN SHARE ROW EXCLUSIVE MODE")
    op.execute("ALTER TABLE claims ADD COLUMN filed boolean NOT NULL DEFAULT true")
    op.execute(
        "UPDATE claims SET filed = false "
        "WHERE NOT EXISTS (SELECT 1 FROM receipts WHERE receipts.id = claims.id)"
    )
    op.execute("ALTER TABLE claims ALTER COLUMN filed SET DEFAULT false")
    op.create_index(
        "claims_open", "claims", ["fleet", "bucket", "id"], postgresql_where=sa.text("NOT filed")
    )
    op.create_table(
        "receipt_totals",
        sa.Column("fleet", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True, comment="files, rows or faults."),
        sa.Column("name", sa.Text, primary_key=True, comment="Verdict, fate or reason."),
        sa.Column("share", sa.SmallInteger, primary_key=True, comment="-1: of removed receipts."),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("newest", sa.DateTime(timezone=True), nullable=False),
        # Rows change all the time; their former versions find a place beside them.
        postgresql_with={"fillfactor": 50},
    )
    op.execute(_add(_counts("receipts", "", "0")))
    _create_triggers()
    op.create_index("receipts_by_verdict", "receipts", ["fleet", "verdict", "id"])
    # Keys below a prefix are a span in it, whatever the database's collation is.
    op.execute("CREATE INDEX receipts_by_key ON receipts (key text_pattern_ops)")
    op.create_index(
        "receipts_by_run", "receipts", ["run_id"], postgresql_where=sa.text("run_id IS NOT NULL")
    )
    op.create_index(
        "receipts_refused", "receipts", ["fleet", "bucket", "id"],
        postgresql_where=sa.text("(notes ->> 'refused') IS NOT NULL"),
    )  # fmt: skip
    # Else PostgreSQL takes most receipts for refused ones, and reads all of them.
    op.execute("CREATE STATISTICS receipts_refusals ON (notes ->> 'refused') FROM receipts")
    op.create_index("unit_parts_by_oldest", "unit_parts", ["bucket", "fleet", "unit", "oldest"])
    op.drop_index("receipts_by_bytes", "receipts")
    op.create_index(
        "receipts_of_bytes", "receipts", ["bucket", "sha256"],
        postgresql_where=sa.text("verdict <> 'duplicate'"),
    )  # fmt: skip
    op.execute("ANALYZE receipts, claims, receipt_totals")


def downgrade() -> None:
    """Take it all back; the sums follow from the receipts."""
    for event in _EVENTS:
        name = f"receipts_{event.lower()}_counts"
        op.execute(f"DROP TRIGGER {name} ON receipts")
        op.execute(f"DROP FUNCTION {name}()")
    for name in (
        "receipts_by_verdict", "receipts_by_key", "receipts_by_run", "receipts_refused",
        "receipts_of_bytes",
    ):  # fmt: skip
        op.drop_index(name, "receipts")
    op.execute("DROP STATISTICS receipts_refusals")
    op.create_index("receipts_by_bytes", "receipts", ["bucket", "sha256"])
    op.drop_index("unit_parts_by_oldest", "unit_parts")
    op.drop_table("receipt_totals")
    op.drop_index("claims_open", "claims")
    op.drop_column("claims", "filed")
