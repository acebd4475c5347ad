"""What is asked of a fleet's receipts; each question is answered by an index, or in pages."""

from collections.abc import Iterator, Sequence

import sqlalchemy as sa

from presagio.storage.database import translated
from presagio.storage.receipt import Receipt, Totals, Verdict
from presagio.storage.receipt_pages import (
    below,
    each_receipt,
    numbers_of,
    receipts_below,
    receipts_by_number,
)
from presagio.storage.schema import RECEIPTS, receipt_of
from presagio.storage.totals import read_totals, recount, wrong_totals


class FiledReceipts:
    """Receipts of a fleet; failures are :class:`StorageError`."""

    def __init__(self, engine: sa.Engine, fleet: str = "") -> None:
        self._engine, self._fleet = engine, fleet

    def receipts(
        self,
        *,
        number: int | None = None,
        bucket: str | None = None,
        key: str | None = None,
        verdict: str | None = None,
        run_id: str | None = None,
        after: int = 0,
        limit: int | None = 100,
        every_fleet: bool = False,
    ) -> list[Receipt]:
        """Return receipts, newest first: the newest, or those with what is given.

        All of a large ledger fill the memory: :meth:`each_receipt` yields them.
        """
        query = sa.select(RECEIPTS).order_by(RECEIPTS.c.id.desc()).limit(limit)
        if not every_fleet:
            query = query.where(RECEIPTS.c.fleet == self._fleet)
        if after:
            query = query.where(RECEIPTS.c.id > after)
        asked = {
            "id": number, "bucket": bucket, "key": key, "verdict": verdict, "run_id": run_id,
        }  # fmt: skip
        for column, wanted in asked.items():
            if wanted is not None:
                query = query.where(RECEIPTS.c[column] == wanted)
        with translated(), self._engine.connect() as connection:
            return [receipt_of(row) for row in connection.execute(query)]

    def each_receipt(
        self,
        *,
        bucket: str | None = None,
        verdict: Verdict | None = None,
        after: int = 0,
        newest_first: bool = False,
        every_fleet: bool = False,
    ) -> Iterator[Receipt]:
        """Yield receipts, all or those with what is given, holding a page of them at a time."""
        conditions = self._with(bucket, verdict, every_fleet=every_fleet)
        if after:
            conditions.append(RECEIPTS.c.id > after)
        with translated():
            yield from each_receipt(self._engine, conditions, newest_first=newest_first)

    def receipts_of(self, bucket: str, keys: Sequence[str]) -> list[Receipt]:
        """Return the receipts of objects under some keys, in whichever version."""
        query = sa.select(RECEIPTS).where(*self._with(bucket, None), RECEIPTS.c.key.in_(keys))
        with translated(), self._engine.connect() as connection:
            return [receipt_of(row) for row in connection.execute(query)]

    def receipts_numbered(self, numbers: Sequence[int]) -> list[Receipt]:
        """Return the receipts with some numbers, newest first; those that there are not, not."""
        with translated():
            found = receipts_by_number(self._engine, sorted(numbers))
            return [receipt for receipt in found if receipt.fleet == self._fleet][::-1]

    def receipts_below(
        self, bucket: str, prefix: str, verdict: Verdict, *, after: int = 0
    ) -> Iterator[Receipt]:
        """Yield the receipts of keys below a prefix, by their keys, a page at a time.

        Others are not looked at.
        """
        conditions = [*self._with(bucket, verdict), RECEIPTS.c.id > after]
        with translated():
            yield from receipts_below(self._engine, conditions, prefix)

    def _with(
        self, bucket: str | None, verdict: Verdict | None, *, every_fleet: bool = False
    ) -> list[sa.ColumnElement[bool]]:
        asked = {
            "fleet": None if every_fleet else self._fleet, "bucket": bucket, "verdict": verdict,
        }  # fmt: skip
        return [RECEIPTS.c[name] == value for name, value in asked.items() if value is not None]

    def outdated(
        self, bucket: str, spec: str, *, of_events: tuple[str, str] | None
    ) -> Sequence[int]:
        """Return the numbers of files that were checked under another machine spec, oldest first.

        Parameters
        ----------
        bucket
            The bucket.
        spec
            SHA-256 of the spec of today.
        of_events
            Prefix of the logs of events and SHA-256 of their spec; None where there are none.
        """
        checked_by = RECEIPTS.c.notes["spec_sha256"].astext
        wanted: sa.ColumnElement[str] = sa.literal(spec)
        if of_events is not None:
            wanted = sa.case((below(of_events[0]), of_events[1]), else_=wanted)
        conditions = [
            *self._with(bucket, None), RECEIPTS.c.verdict != "duplicate",
            checked_by.is_distinct_from(wanted),
        ]  # fmt: skip
        with translated():
            return numbers_of(self._engine, conditions)

    def filed_in(self, bucket: str, run_id: str) -> Totals:
        """Sum up the receipts of one run; the faults are left out."""
        counted = sa.select(
            RECEIPTS.c.verdict,
            sa.func.count().label("files"),
            sa.func.sum(RECEIPTS.c.rows_processed).label("processed"),
            sa.func.sum(RECEIPTS.c.rows_quarantined).label("quarantined"),
            sa.func.max(RECEIPTS.c.created_at).label("last"),
        )
        counted = counted.where(*self._with(bucket, None), RECEIPTS.c.run_id == run_id)
        with translated(), self._engine.connect() as connection:
            found = connection.execute(counted.group_by(RECEIPTS.c.verdict)).all()
        return Totals(
            files={row.verdict: row.files for row in found},
            rows_processed=sum(int(row.processed) for row in found),
            rows_quarantined=sum(int(row.quarantined) for row in found),
            reasons={},
            last=max((row.last for row in found), default=None),
        )

    def rows_after(self, bucket: str, after: int, *, wanted: int, but_below: str | None) -> int:
        """Sum up the rows that were taken after a receipt, of files enough to have those wanted.

        Parameters
        ----------
        bucket
            The bucket.
        after
            Number of the receipt.
        wanted
            So many files are looked at at most: each has a row at least.
        but_below
            Files below this prefix do not count.
        """
        rows = (
            sa.select(RECEIPTS.c.rows_processed)
            .where(*self._with(bucket, "processed"), RECEIPTS.c.id > after)
            .where(RECEIPTS.c.rows_processed > 0)
            .order_by(RECEIPTS.c.id)
            .limit(max(wanted, 1))
        )
        if but_below is not None:
            rows = rows.where(~below(but_below))
        query = sa.select(sa.func.sum(rows.subquery().c.rows_processed))
        with translated(), self._engine.connect() as connection:
            return int(connection.execute(query).scalar_one() or 0)

    def totals(self) -> Totals:
        """Sum up the receipts, by what is kept of them."""
        with translated(), self._engine.connect() as connection:
            return read_totals(connection, self._fleet)

    def wrong_totals(self) -> list[str]:
        """Compare what :meth:`totals` goes by with the receipts; each difference in words."""
        with translated(), self._engine.connect() as connection:
            return wrong_totals(connection, self._fleet)

    def recount(self) -> None:
        """Count all receipts, of every fleet, for :meth:`totals`; filings wait meanwhile."""
        with translated(), self._engine.begin() as connection:
            recount(connection)
