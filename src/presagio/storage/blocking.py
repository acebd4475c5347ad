"""Which refused files keep training from starting, as a query that looks at those files alone."""

from collections.abc import Iterable

import sqlalchemy as sa

from presagio.storage.schema import RECEIPTS, RELEASES


def _refused(bucket: str, fleet: str, reasons: Iterable[str], number: int | None) -> sa.CTE:
    """Return the files that were refused whole, found before anything else is looked at.

    PostgreSQL knows that they are few, but not how many of them were replaced: with a limit it
    would go through all receipts by their numbers.
    """
    reason = RECEIPTS.c.notes["refused"].astext
    conditions = [
        RECEIPTS.c.bucket == bucket, RECEIPTS.c.fleet == fleet, reason.is_not(None),
        reason.in_(list(reasons)),
    ]  # fmt: skip
    if number is not None:
        conditions.append(RECEIPTS.c.id == number)
    return (
        sa.select(RECEIPTS.c.id, RECEIPTS.c.bucket, RECEIPTS.c.key)
        .where(*conditions)
        .cte("refused")
        .prefix_with("MATERIALIZED")
    )


def _replaced_by(refused: sa.CTE) -> sa.ScalarSelect[int]:
    """Return a later file of a refused one's name that was taken; a query for each, and no join."""
    return (
        sa.select(RECEIPTS.c.id)
        .where(
            RECEIPTS.c.bucket == refused.c.bucket,
            RECEIPTS.c.key == refused.c.key,
            RECEIPTS.c.id > refused.c.id,
            RECEIPTS.c.verdict == "processed",
        )
        .limit(1)
        .correlate(refused)
        .scalar_subquery()
    )


def blocking_query(
    bucket: str, fleet: str, reasons: Iterable[str], *, number: int | None, limit: int | None
) -> sa.Select[int]:
    """Return a query for the numbers of files that block: :meth:`.ledger.Ledger.blocking`."""
    refused = _refused(bucket, fleet, reasons, number)
    return (
        sa.select(refused.c.id)
        .outerjoin(RELEASES, RELEASES.c.receipt_id == refused.c.id)
        .where(
            RELEASES.c.receipt_id.is_(None),
            _replaced_by(refused).is_(None),
        )
        .order_by(refused.c.id)
        .limit(limit)
    )
