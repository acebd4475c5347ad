"""Which larger objects hold the rows of files that were put together; PostgreSQL is the arbiter.

A compaction is begun (its number settles what its objects are called), its objects are written, and
in one transaction they take the place of the files' own parts. A run that is killed leaves one that
is begun, with which the next run goes on.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, insert

from presagio.storage.database import translated
from presagio.storage.schema import (
    COMPACTED_ANSWERS,
    COMPACTED_RECEIPTS,
    COMPACTED_SPANS,
    COMPACTIONS,
    RECEIPTS,
    UNIT_PARTS,
)
from presagio.storage.unit_parts import UnitSpans, insert_spans

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


@dataclass(frozen=True)
class SmallFile:
    """A filed object whose rows may be put together with those of others.

    Attributes
    ----------
    keys
        Of its parts in the curated data set.
    digests
        Their SHA-256, by key; of all that was written of it.
    """

    receipt_id: int
    key: str
    keys: Sequence[str]
    digests: Mapping[str, str]
    rows: int


@dataclass(frozen=True)
class Result:
    """What a compaction came to.

    Attributes
    ----------
    spans
        Which units its objects hold, and of what times.
    """

    keys: Sequence[str]
    digests: Mapping[str, str]
    rows: int
    spans: UnitSpans = field(default_factory=UnitSpans)


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
    def turn(self) -> Iterator["Turn"]:
        """Open the transaction in which files are put together; of two runs one waits here."""
        with translated(), self._engine.begin() as connection:
            name = f"compaction/{self._kind}/{self._fleet}/{self._bucket}"
            lock = sa.func.hashtextextended(name, 0)
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(lock)))
            yield Turn(connection, self._fleet, self._bucket)

    def begin(self, place: str = "") -> int:
        """Return the number of a compaction that a killed run has begun, else of a new one."""
        here = {
            "kind": self._kind, "fleet": self._fleet, "bucket": self._bucket, "place": place,
        }  # fmt: skip
        begun = sa.select(COMPACTIONS.c.id).where(
            self._ours, COMPACTIONS.c.place == place, COMPACTIONS.c.committed_at.is_(None)
        )
        new = insert(COMPACTIONS).values(here).on_conflict_do_nothing().returning(COMPACTIONS.c.id)
        with translated(), self._engine.begin() as connection:
            found = connection.execute(begun).scalar_one_or_none()
            found = found or connection.execute(new).scalar_one_or_none()
            return int(found or connection.execute(begun).scalar_one())

    def begun(self) -> list[int]:
        """Return the numbers of those that are not committed: under way, or left by a kill."""
        query = sa.select(COMPACTIONS.c.id).where(self._ours, COMPACTIONS.c.committed_at.is_(None))
        with translated(), self._engine.connect() as connection:
            return list(connection.execute(query).scalars())

    def committed(self, *, before: datetime | None = None) -> list[Compaction]:
        """Return those that count, the oldest first; of those committed ``before`` only."""
        query = sa.select(COMPACTIONS).where(self._ours, COMPACTIONS.c.committed_at.is_not(None))
        if before is not None:
            query = query.where(COMPACTIONS.c.committed_at < before)
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

    def answers(self, place: str) -> set[str]:
        """Return the keys of the files of answers whose rows are in a compaction of a folder."""
        query = (
            sa.select(COMPACTED_ANSWERS.c.key)
            .join(COMPACTIONS, COMPACTIONS.c.id == COMPACTED_ANSWERS.c.compaction_id)
            .where(self._ours, COMPACTIONS.c.place == place)
        )
        with translated(), self._engine.connect() as connection:
            return set(connection.execute(query).scalars())


class Turn:
    """Whoever may put files together now."""

    def __init__(self, connection: sa.Connection, fleet: str, bucket: str) -> None:
        self._connection, self._fleet, self._bucket = connection, fleet, bucket

    def waiting(self, *, before: datetime, after: int, limit: int) -> list[SmallFile]:
        """Return files whose rows are in no compaction, oldest first.

        Parameters
        ----------
        before
            Only those that were filed before.
        after
            Only those with a higher receipt.
        limit
            The most of them.
        """
        here, done = RECEIPTS.c, COMPACTED_RECEIPTS.c
        query = (
            sa.select(here.id, here.key, here.curated_keys, here.digests, here.rows_processed)
            .outerjoin_from(RECEIPTS, COMPACTED_RECEIPTS, done.receipt_id == here.id)
            .where(
                here.bucket == self._bucket, here.fleet == self._fleet,
                here.verdict == "processed", here.rows_processed > 0, here.id > after,
                here.created_at < before, done.receipt_id.is_(None),
            )
            .order_by(here.id)
            .limit(limit)
        )  # fmt: skip
        return [SmallFile(*row) for row in self._connection.execute(query)]

    def unchanged(self, files: Sequence[SmallFile]) -> list[int]:
        """Return the receipts of those files that nobody has checked or written again meanwhile.

        Until the transaction ends nobody can.
        """
        listed = sa.select(RECEIPTS.c.id, RECEIPTS.c.digests, RECEIPTS.c.curated_keys).where(
            RECEIPTS.c.id == sa.any_(sa.literal([file.receipt_id for file in files], _NUMBERS))
        )
        now = {row.id: row for row in self._connection.execute(listed.with_for_update(read=True))}
        return [
            file.receipt_id
            for file in files
            if (row := now.get(file.receipt_id)) is not None
            and (row.digests, row.curated_keys) == (file.digests, file.keys)
        ]

    def commit(self, number: int, result: Result, receipts: Sequence[int]) -> None:
        """Have the objects of a compaction take the place of the parts of files."""
        ids = sa.select(sa.func.unnest(sa.cast(list(receipts), _NUMBERS)), sa.literal(number))
        self._finish(number, result, len(receipts))
        self._connection.execute(
            sa.insert(COMPACTED_RECEIPTS).from_select(["receipt_id", "compaction_id"], ids)
        )
        theirs = UNIT_PARTS.c.receipt_id == sa.any_(sa.literal(list(receipts), _NUMBERS))
        self._connection.execute(sa.delete(UNIT_PARTS).where(theirs))
        of_all = {"compaction_id": number, "bucket": self._bucket, "fleet": self._fleet}
        insert_spans(self._connection, COMPACTED_SPANS, of_all, result.spans)

    def commit_answers(self, number: int, result: Result, keys: Sequence[str]) -> None:
        """Have the object of a compaction take the place of files of answers."""
        self._finish(number, result, len(keys))
        listed = sa.func.unnest(sa.cast(list(keys), ARRAY(sa.Text)))
        rows = sa.select(sa.literal(self._bucket), listed, sa.literal(number))
        self._connection.execute(
            sa.insert(COMPACTED_ANSWERS).from_select(["bucket", "key", "compaction_id"], rows)
        )

    def _finish(self, number: int, result: Result, files: int) -> None:
        values = {
            "keys": list(result.keys), "digests": dict(result.digests), "rows": result.rows,
            "files": files, "committed_at": sa.func.now(),
        }  # fmt: skip
        self._connection.execute(
            sa.update(COMPACTIONS).where(COMPACTIONS.c.id == number).values(values)
        )
