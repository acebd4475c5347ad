"""Which larger objects hold the rows of files that were put together; PostgreSQL is the arbiter.

A compaction is begun (its number settles what its objects are called), its objects are written, and
in one transaction they take the place of the files' own parts. A run that is killed leaves one that
is begun: the next run removes its objects, and begins anew under another number.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, insert

from presagio.storage.compaction_turn import Removal, Turn
from presagio.storage.database import translated
from presagio.storage.schema import (
    COMPACTED_ANSWERS,
    COMPACTED_RECEIPTS,
    COMPACTED_SPANS,
    COMPACTIONS,
    RECEIPTS,
)
from presagio.storage.transaction import filing_lock

Kind = Literal["curated", "answers"]
_NUMBERS = ARRAY(sa.BigInteger)


@dataclass(frozen=True)
class Compaction:
    """Objects that hold the rows of many files.

    Attributes
    ----------
    keys
        Of the objects, in their order.
    digests
        Their SHA-256, by key.
    files, rows
        How many of each were put together.
    place
        Of answers the folder that they lay in.
    """

    id: int
    keys: Sequence[str]
    digests: Mapping[str, str]
    files: int
    rows: int
    place: str = ""


def _compaction(row: sa.Row[Any]) -> Compaction:
    return Compaction(row.id, row.keys, row.digests, row.files, row.rows, row.place)


class Compactions:
    """The compactions of a fleet's files in one bucket; failures are :class:`.StorageError`.

    Parameters
    ----------
    engine
        The database.
    kind
        Of the curated data set, or of recorded answers.
    fleet, bucket
        Whose: of curated rows the bucket of the receipts, of answers that of the answers.
    """

    def __init__(self, engine: sa.Engine, kind: Kind, fleet: str, bucket: str) -> None:
        self._engine, self._kind, self._fleet, self._bucket = engine, kind, fleet, bucket

    @property
    def _ours(self) -> sa.ColumnElement[bool]:
        here = COMPACTIONS.c
        return sa.and_(
            here.kind == self._kind, here.fleet == self._fleet, here.bucket == self._bucket
        )

    @contextmanager
    def turn(self) -> Iterator[Turn]:
        """Open the transaction in which files are put together; of two runs one waits here."""
        with translated(), self._engine.begin() as connection:
            name = f"compaction/{self._kind}/{self._fleet}/{self._bucket}"
            lock = sa.func.hashtextextended(name, 0)
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(lock)))
            yield Turn(connection, self._fleet, self._bucket)

    @contextmanager
    def looking(self) -> Iterator[Turn]:
        """Look at what would be put together, beside whoever does so now."""
        with translated(), self._engine.connect() as connection:
            yield Turn(connection, self._fleet, self._bucket)

    def _begun(self, place: str) -> sa.ColumnElement[bool]:
        return sa.and_(
            self._ours, COMPACTIONS.c.place == place, COMPACTIONS.c.committed_at.is_(None)
        )

    def begun(self, place: str = "") -> int | None:
        """Return the number of a compaction that a run before has begun and not ended."""
        query = sa.select(COMPACTIONS.c.id).where(self._begun(place))
        with translated(), self._engine.connect() as connection:
            return connection.execute(query).scalar_one_or_none()

    def begin(self, place: str = "") -> int:
        """Begin a compaction, in the place of one that was begun before, and return its number.

        It is a new number each time: a run that has lost its connection, and with it its turn, may
        go on writing objects of the former one.
        """
        again = sa.update(COMPACTIONS).where(self._begun(place)).values(id=sa.text("DEFAULT"))
        here = {
            "kind": self._kind, "fleet": self._fleet, "bucket": self._bucket, "place": place,
        }  # fmt: skip
        new = insert(COMPACTIONS).values(here).returning(COMPACTIONS.c.id)
        with translated(), self._engine.begin() as connection:
            found = connection.execute(again.returning(COMPACTIONS.c.id)).scalar_one_or_none()
            return int(found or connection.execute(new).scalar_one())

    def numbers(self) -> set[int]:
        """Return the numbers of all of this kind, of other fleets and buckets too, begun or not."""
        query = sa.select(COMPACTIONS.c.id).where(COMPACTIONS.c.kind == self._kind)
        with translated(), self._engine.connect() as connection:
            return set(connection.execute(query).scalars())

    def committed(
        self, *, before: datetime | None = None, with_originals: bool = False
    ) -> list[Compaction]:
        """Return those that count, the oldest first.

        Parameters
        ----------
        before
            Only those committed before.
        with_originals
            Only those whose files' own parts have not all been removed.
        """
        query = sa.select(COMPACTIONS).where(self._ours, COMPACTIONS.c.committed_at.is_not(None))
        if before is not None:
            query = query.where(COMPACTIONS.c.committed_at < before)
        if with_originals:
            here = COMPACTED_RECEIPTS.c
            is_left = sa.exists().where(
                here.compaction_id == COMPACTIONS.c.id, here.removed_at.is_(None)
            )
            query = query.where(is_left)
        with translated(), self._engine.connect() as connection:
            rows = connection.execute(query.order_by(COMPACTIONS.c.id)).all()
        return [_compaction(row) for row in rows]

    def of_receipt(self, receipt_id: int) -> Compaction | None:
        """Return the compaction that a file's rows are in; None where they are in none."""
        query = (
            sa.select(COMPACTIONS)
            .join(COMPACTED_RECEIPTS, COMPACTED_RECEIPTS.c.compaction_id == COMPACTIONS.c.id)
            .where(COMPACTED_RECEIPTS.c.receipt_id == receipt_id)
        )
        with translated(), self._engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else _compaction(row)

    def get(self, number: int) -> Compaction | None:
        """Return a compaction by its number; None where there is none."""
        query = sa.select(COMPACTIONS).where(COMPACTIONS.c.id == number)
        with translated(), self._engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else _compaction(row)

    def receipts(self, number: int, *, among: Sequence[int] | None = None) -> list[int]:
        """Return the receipts whose rows count in a compaction: all, or those ``among`` some."""
        column = COMPACTED_RECEIPTS.c.receipt_id
        query = sa.select(column).where(COMPACTED_RECEIPTS.c.compaction_id == number)
        if among is not None:
            query = query.where(column == sa.any_(sa.literal([*among], _NUMBERS)))
        with translated(), self._engine.connect() as connection:
            return list(connection.execute(query.order_by(column)).scalars())

    def all_receipts(self) -> set[int]:
        """Return the receipts of all files whose rows are in some compaction."""
        query = (
            sa.select(COMPACTED_RECEIPTS.c.receipt_id)
            .join(COMPACTIONS, COMPACTIONS.c.id == COMPACTED_RECEIPTS.c.compaction_id)
            .where(self._ours)
        )
        with translated(), self._engine.connect() as connection:
            return set(connection.execute(query).scalars())

    @contextmanager
    def removing(self, number: int, *, after: int, limit: int) -> Iterator[Removal]:
        """Open the transaction in which parts of files are removed that a compaction replaces.

        Nobody checks or writes these files again meanwhile: a file that is being worked on is left
        for another time.
        """
        here, listed = COMPACTED_RECEIPTS.c, sa.select(RECEIPTS.c.id, RECEIPTS.c.sha256)
        some = (
            listed.join(COMPACTED_RECEIPTS, here.receipt_id == RECEIPTS.c.id)
            .where(here.compaction_id == number, here.removed_at.is_(None), here.receipt_id > after)
            .order_by(here.receipt_id)
            .limit(limit)
            .cte("some")
            .prefix_with("MATERIALIZED", dialect="postgresql")
        )
        lock = sa.func.pg_try_advisory_xact_lock(filing_lock(self._bucket, some.c.sha256))
        with translated(), self._engine.begin() as connection:
            found = connection.execute(sa.select(some.c.id, lock)).all()
            locked = [number for number, is_locked in found if is_locked]
            yield Removal(connection, number, locked, max((n for n, _ in found), default=None))

    def unused(self, *, before: datetime) -> list[Compaction]:
        """Return compactions of which no row counts any more, of those committed before."""
        counted = sa.exists().where(COMPACTED_RECEIPTS.c.compaction_id == COMPACTIONS.c.id)
        query = sa.select(COMPACTIONS).where(
            self._ours, COMPACTIONS.c.committed_at < before, ~counted
        )
        with translated(), self._engine.connect() as connection:
            return [_compaction(row) for row in connection.execute(query)]

    def forget(self, number: int) -> None:
        """Remove a compaction of which no row counts any more, and whose objects are gone."""
        with translated(), self._engine.begin() as connection:
            for table, column in ((COMPACTED_SPANS, "compaction_id"), (COMPACTIONS, "id")):
                connection.execute(sa.delete(table).where(table.c[column] == number))

    def answers(self, place: str) -> set[str]:
        """Return the keys of the files of answers whose rows are in a compaction of a folder."""
        query = (
            sa.select(COMPACTED_ANSWERS.c.key)
            .join(COMPACTIONS, COMPACTIONS.c.id == COMPACTED_ANSWERS.c.compaction_id)
            .where(self._ours, COMPACTIONS.c.place == place)
        )
        with translated(), self._engine.connect() as connection:
            return set(connection.execute(query).scalars())

    def forget_answers(self, *, before: str) -> None:
        """Remove what is known of folders of answers that are gone, those before a name."""
        gone = sa.select(COMPACTIONS.c.id).where(self._ours, COMPACTIONS.c.place < before)
        with translated(), self._engine.begin() as connection:
            for table, column in ((COMPACTED_ANSWERS, "compaction_id"), (COMPACTIONS, "id")):
                connection.execute(sa.delete(table).where(table.c[column].in_(gone)))
