"""Sums of all receipts: kept by triggers in the transaction of each receipt, and counted anew."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from presagio.storage.receipt import Totals
from presagio.storage.schema import RECEIPT_TOTALS, RECEIPTS

_NAMED = ("fleet", "kind", "name")
# Whose receipts have been removed; the sums keep them.
_REMOVED = -1


def _add_up(kept: list[tuple[str, str, int]], last: datetime | None) -> Totals:
    by_kind: dict[str, dict[str, int]] = {"files": {}, "rows": {}, "faults": {}}
    for kind, name, number in kept:
        by_kind[kind][name] = int(number)
    rows = by_kind["rows"]
    return Totals(
        files=by_kind["files"],
        rows_processed=rows.get("processed", 0),
        rows_quarantined=rows.get("quarantined", 0),
        reasons=by_kind["faults"],
        last=last,
    )


def read_totals(connection: sa.Connection, fleet: str) -> Totals:
    """Return the sums of a fleet's receipts, those included that have been removed."""
    kept = RECEIPT_TOTALS.c
    total = sa.func.sum(kept.number)
    query = (
        sa.select(kept.kind, kept.name, total, sa.func.max(kept.newest))
        .where(kept.fleet == fleet)
        .group_by(kept.kind, kept.name)
        .having(total != 0)
    )
    found = connection.execute(query).all()
    newest = max((row[3] for row in found), default=None)
    return _add_up([(row[0], row[1], row[2]) for row in found], newest)


def _counted(fleet: str | None = None) -> sa.Subquery:
    """Return what the receipts themselves come to, of one fleet or all: a pass over them."""
    columns = RECEIPTS.c
    whose = sa.true() if fleet is None else columns.fleet == fleet
    each = sa.func.jsonb_each_text(columns.reasons).table_valued("key", "value")

    def counts(kind: str, name: Any, number: Any) -> sa.Select[Any]:
        return sa.select(
            columns.fleet, sa.literal(kind).label("kind"), name.label("name"),
            number.label("number"), columns.created_at,
        ).where(whose)  # fmt: skip

    parts = sa.union_all(
        counts("files", columns.verdict, sa.literal(1, sa.BigInteger)),
        counts("rows", sa.literal("processed"), columns.rows_processed),
        counts("rows", sa.literal("quarantined"), columns.rows_quarantined),
        counts("faults", each.c.key, sa.cast(each.c.value, sa.BigInteger)).select_from(
            RECEIPTS.join(each, sa.true())
        ),
    ).subquery()
    total = sa.func.sum(parts.c.number)
    return (
        sa.select(
            *(parts.c[name] for name in _NAMED), total.label("number"),
            sa.func.max(parts.c.created_at).label("newest"),
        )
        .group_by(*(parts.c[name] for name in _NAMED))
        .having(total != 0)
        .subquery("counted")
    )  # fmt: skip


def wrong_totals(connection: sa.Connection, fleet: str) -> list[str]:
    """Compare the sums that are kept with the receipts, in one statement and so at one moment.

    Returns
    -------
    list of str
        What differs, in words.
    """
    kept = RECEIPT_TOTALS.c
    total = sa.func.sum(kept.number)
    sums = (
        sa.select(*(kept[name] for name in _NAMED), total.label("number"))
        .where(kept.fleet == fleet, kept.share != _REMOVED)
        .group_by(*(kept[name] for name in _NAMED))
        .having(total != 0)
        .subquery("sums")
    )
    counted = _counted(fleet)
    same = sa.and_(*(sums.c[name] == counted.c[name] for name in _NAMED))
    query = (
        sa.select(
            sa.func.coalesce(sums.c.kind, counted.c.kind),
            sa.func.coalesce(sums.c.name, counted.c.name),
            sa.func.coalesce(sums.c.number, 0),
            sa.func.coalesce(counted.c.number, 0),
        )
        .select_from(sums.join(counted, same, full=True))
        .where(
            sums.c.number.is_distinct_from(counted.c.number),
        )
        .order_by(sa.literal_column("1"), sa.literal_column("2"))
    )
    return [
        f"{kind} {name}: {here:,} are kept and the receipts come to {there:,}"
        for kind, name, here, there in connection.execute(query)
    ]


def recount(connection: sa.Connection) -> None:
    """Put the sums of the receipts in the place of those that are kept; filings wait meanwhile."""
    connection.execute(sa.text("LOCK TABLE receipts IN SHARE ROW EXCLUSIVE MODE"))
    connection.execute(sa.delete(RECEIPT_TOTALS).where(RECEIPT_TOTALS.c.share != _REMOVED))
    counted = _counted()
    columns = ["fleet", "kind", "name", "number", "newest", "share"]
    rows = sa.select(*counted.c, sa.literal(0, sa.SmallInteger))
    connection.execute(sa.insert(RECEIPT_TOTALS).from_select(columns, rows))
