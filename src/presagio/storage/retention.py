"""What may be removed of filed objects: the ledger knows what nobody stands on any more."""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, insert

from presagio.storage.database import translated
from presagio.storage.schema import CLAIMS, RECEIPTS, RELEASES, REMOVED_ORIGINALS
from presagio.storage.transaction import filing_lock

_NUMBERS, _TEXTS = ARRAY(sa.BigInteger), ARRAY(sa.Text)
_Row = sa.Row[Any]
_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class Kept:
    """What stays, however old it is.

    Attributes
    ----------
    up_to
        Files whose rows were taken, up to this receipt: a model in use was trained on them.
    receipts
        Receipts of files that keep training from starting.
    """

    up_to: int
    receipts: tuple[int, ...] = ()


class Retention:
    """Originals and receipts of a fleet's files in one bucket; failures are :class:`.StorageError`.

    Whoever files the same bytes, or checks them again, waits while their objects are removed.

    Parameters
    ----------
    engine
        The database.
    fleet, bucket
        Whose.
    """

    def __init__(self, engine: sa.Engine, fleet: str, bucket: str) -> None:
        self._engine, self._fleet, self._bucket = engine, fleet, bucket

    @property
    def _ours(self) -> sa.ColumnElement[bool]:
        return sa.and_(RECEIPTS.c.bucket == self._bucket, RECEIPTS.c.fleet == self._fleet)

    def _old_originals(self, before: datetime, kept: Kept) -> sa.Select[Any]:
        """Return the query of originals on which nothing stands: key and SHA-256."""
        here, there = RECEIPTS.c, REMOVED_ORIGINALS.c
        needed = sa.or_(
            here.created_at >= before,
            sa.and_(here.rows_processed > 0, here.id <= kept.up_to),
            here.id == sa.any_(sa.literal([*kept.receipts], _NUMBERS)),
        )
        open_claim = sa.exists().where(
            CLAIMS.c.bucket == self._bucket, CLAIMS.c.sha256 == here.sha256, ~CLAIMS.c.filed
        )
        known = sa.exists().where(there.bucket == self._bucket, there.key == here.archive_key)
        # Of each group, so that no join is planned which would sort all receipts for a page.
        return (
            sa.select(here.archive_key, here.sha256)
            .where(self._ours, here.archive_key != "")
            .group_by(here.archive_key, here.sha256)
            .having(
                sa.and_(
                    ~sa.func.bool_or(needed), ~known.correlate(RECEIPTS),
                    ~open_claim.correlate(RECEIPTS),
                )
            )
            .order_by(here.archive_key)
        )  # fmt: skip

    def count_originals(self, before: datetime, kept: Kept) -> int:
        """Count the originals that would be removed."""
        query = sa.select(sa.func.count()).select_from(
            self._old_originals(before, kept).order_by(None).subquery()
        )
        with translated(), self._engine.connect() as connection:
            return int(connection.execute(query).scalar_one())

    def mark_originals(
        self, before: datetime, kept: Kept, *, after: str, limit: int
    ) -> tuple[list[str], str | None]:
        """Note of some originals that they go; return their keys, and up to which key was looked.

        Noted first: after a kill it is known which may be gone. Who files the same bytes deletes
        the note. The second is None at the end.
        """
        query = self._old_originals(before, kept)
        with translated(), self._engine.begin() as connection:
            page = query.where(RECEIPTS.c.archive_key > after).limit(limit)
            found = connection.execute(page).all()
            some = self._locked(connection, [row.sha256 for row in found])
            keys = [row.archive_key for row in found if row.sha256 in some]
            # Once more, now that nobody files them.
            still = query.where(RECEIPTS.c.archive_key == sa.any_(sa.literal(keys, _TEXTS)))
            marked = [row.archive_key for row in connection.execute(still)]
            self._mark(connection, marked)
        return marked, found[-1].archive_key if found else None

    def _locked(self, connection: sa.Connection, digests: Sequence[str]) -> set[str]:
        listed = sa.func.unnest(sa.cast([*digests], _TEXTS)).table_valued("sha256").render_derived()
        lock = sa.func.pg_try_advisory_xact_lock(filing_lock(self._bucket, listed.c.sha256))
        rows = connection.execute(sa.select(listed.c.sha256, lock))
        return {sha256 for sha256, is_locked in rows if is_locked}

    def _mark(self, connection: sa.Connection, keys: Iterable[str]) -> None:
        rows = [{"bucket": self._bucket, "key": key} for key in keys]
        if rows:
            connection.execute(insert(REMOVED_ORIGINALS).values(rows).on_conflict_do_nothing())

    def unfinished(self) -> list[str]:
        """Return the keys of originals that a killed run has marked, and may have left."""
        here = REMOVED_ORIGINALS.c
        query = sa.select(here.key).where(here.bucket == self._bucket, here.removed_at.is_(None))
        with translated(), self._engine.connect() as connection:
            return list(connection.execute(query).scalars())

    @contextmanager
    def removing_originals(self, keys: Sequence[str]) -> Iterator[list[str]]:
        """Open the transaction in which originals that were noted are removed.

        Yields
        ------
        list of str
            Those that still go; of others the bytes are being filed, or have been since.
        """
        here = REMOVED_ORIGINALS.c
        noted = sa.select(here.key).where(here.bucket == self._bucket)
        # An original is named by its bytes.
        digests = {key: found[0] for key in keys if (found := _SHA256.search(key))}
        with translated(), self._engine.begin() as connection:
            locked = self._locked(connection, [*digests.values()])
            free = [key for key, sha256 in digests.items() if sha256 in locked]
            # Asked for now that nobody files them.
            is_free = here.key == sa.any_(sa.literal(free, _TEXTS))
            going = list(connection.execute(noted.where(is_free)).scalars())
            yield going
            gone = sa.update(REMOVED_ORIGINALS).where(
                here.bucket == self._bucket, here.key == sa.any_(sa.literal(going, _TEXTS))
            )
            connection.execute(gone.values(removed_at=sa.func.now()))

    def removed(self) -> set[str]:
        """Return the keys of originals that are kept no more."""
        query = sa.select(REMOVED_ORIGINALS.c.key)
        with translated(), self._engine.connect() as connection:
            query = query.where(REMOVED_ORIGINALS.c.bucket == self._bucket)
            return set(connection.execute(query).scalars())

    def is_removed(self, key: str) -> bool:
        """Tell whether an original is kept no more, or is being removed."""
        here = REMOVED_ORIGINALS.c
        query = sa.select(sa.exists().where(here.bucket == self._bucket, here.key == key))
        with translated(), self._engine.connect() as connection:
            return bool(connection.execute(query).scalar_one())

    def _old_receipts(self, before: datetime, kept: Kept) -> sa.Select[Any]:
        """Return the query of receipts of which no row counts, and that nobody refers to."""
        here, other = RECEIPTS.c, RECEIPTS.alias("other")
        named = sa.exists().where(other.c.duplicate_of == here.id).correlate(RECEIPTS)
        return (
            sa.select(here.id, here.sha256, here.quarantine_key, here.archive_key, here.verdict)
            .where(
                self._ours, here.created_at < before, ~named,
                # Written out: the index of such receipts is for this number.
                here.rows_processed == sa.literal_column("0"),
                here.verdict.in_(["duplicate", "quarantined"]),
                ~(here.id == sa.any_(sa.literal([*kept.receipts], _NUMBERS))),
            )
            .order_by(here.id)
        )  # fmt: skip

    def count_receipts(self, before: datetime, kept: Kept) -> int:
        """Count the receipts that would be removed."""
        query = sa.select(sa.func.count()).select_from(
            self._old_receipts(before, kept).order_by(None).subquery()
        )
        with translated(), self._engine.connect() as connection:
            return int(connection.execute(query).scalar_one())

    @contextmanager
    def removing_receipts(
        self, before: datetime, kept: Kept, *, after: int, limit: int
    ) -> Iterator["OldReceipts"]:
        """Open the transaction in which some receipts are removed, after their objects."""
        query = self._old_receipts(before, kept)
        with translated(), self._engine.begin() as connection:
            found = connection.execute(query.where(RECEIPTS.c.id > after).limit(limit)).all()
            locked = self._locked(connection, [row.sha256 for row in found])
            ids = [row.id for row in found if row.sha256 in locked]
            still = query.where(RECEIPTS.c.id == sa.any_(sa.literal(ids, _NUMBERS)))
            rows = connection.execute(still).all()
            originals = self._unshared(connection, rows)
            with self._engine.begin() as at_once:
                self._mark(at_once, originals)
            keys = [*originals]
            for row in rows:
                if row.verdict == "quarantined" and row.quarantine_key:
                    keys += [row.quarantine_key, f"{row.quarantine_key}.reason.json"]
            numbers = [row.id for row in rows]
            last = found[-1].id if found else None
            yield OldReceipts(connection, self._bucket, numbers, keys, originals, last)

    def _unshared(self, connection: sa.Connection, rows: Sequence[_Row]) -> list[str]:
        """Return the originals that no other receipt names."""
        keys = {row.archive_key for row in rows if row.archive_key}
        here = RECEIPTS.c
        shared = sa.select(here.archive_key).where(
            here.bucket == self._bucket, here.archive_key == sa.any_(sa.literal([*keys], _TEXTS)),
            ~(here.id == sa.any_(sa.literal([row.id for row in rows], _NUMBERS))),
        )  # fmt: skip
        return sorted(keys - set(connection.execute(shared).scalars()))


class OldReceipts:
    """Some receipts that go.

    Attributes
    ----------
    numbers, keys
        Of the receipts, and of what lies in the bucket of them.
    last
        The last receipt that was looked at; None where there is none left.
    """

    def __init__(
        self, connection: sa.Connection, bucket: str, numbers: Sequence[int], keys: Sequence[str],
        originals: Sequence[str], last: int | None,
    ) -> None:  # fmt: skip
        self._connection, self._bucket, self._originals = connection, bucket, originals
        self.numbers, self.keys, self.last = numbers, keys, last

    def remove(self) -> None:
        """Remove the rows; counts once the transaction is committed."""
        ids = sa.any_(sa.literal([*self.numbers], _NUMBERS))
        self._connection.execute(sa.delete(RELEASES).where(RELEASES.c.receipt_id == ids))
        # Both at once: a claim that lost its receipt first would be written anew, as open.
        receipts = sa.delete(RECEIPTS).where(RECEIPTS.c.id == ids).cte("gone")
        claims = sa.delete(CLAIMS).where(CLAIMS.c.id == ids).add_cte(receipts)
        self._connection.execute(claims)
        marks = REMOVED_ORIGINALS.c
        gone = sa.delete(REMOVED_ORIGINALS).where(
            marks.bucket == self._bucket,
            marks.key == sa.any_(sa.literal([*self._originals], _TEXTS)),
        )
        self._connection.execute(gone)
