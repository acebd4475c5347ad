"""What a transaction does in which files are put together, or their former parts are removed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from presagio.storage.schema import (
    COMPACTED_ANSWERS,
    COMPACTED_RECEIPTS,
    COMPACTED_SPANS,
    COMPACTIONS,
    RECEIPTS,
    UNIT_PARTS,
)
from presagio.storage.unit_parts import UnitSpans, insert_spans

_NUMBERS = ARRAY(sa.BigInteger)


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


class Removal:
    """Some files of a compaction, on which nobody else works now.

    Attributes
    ----------
    last
        The last receipt that was looked at; None where there is none left.
    """

    def __init__(
        self, connection: sa.Connection, number: int, locked: Sequence[int], last: int | None
    ) -> None:
        self._connection, self._number, self._locked, self.last = connection, number, locked, last

    def keys(self) -> list[str]:
        """Return the keys of the parts that may go."""
        query = sa.select(RECEIPTS.c.curated_keys).join(
            COMPACTED_RECEIPTS, COMPACTED_RECEIPTS.c.receipt_id == RECEIPTS.c.id
        )
        listed = self._connection.execute(query.where(self._ours)).scalars()
        return [key for keys in listed for key in keys]

    def done(self) -> None:
        """Note that they are gone."""
        values = {"removed_at": sa.func.now()}
        self._connection.execute(sa.update(COMPACTED_RECEIPTS).where(self._ours).values(values))

    @property
    def _ours(self) -> sa.ColumnElement[bool]:
        # Looked up under the locks: a file that was checked again meanwhile is none of them.
        here = COMPACTED_RECEIPTS.c
        return sa.and_(
            here.receipt_id == sa.any_(sa.literal([*self._locked], _NUMBERS)),
            here.compaction_id == self._number,
        )


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
