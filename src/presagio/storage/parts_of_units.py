"""Where the readings of units lie: the next parts of many units, asked for at once."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from presagio.storage.schema import COMPACTED_SPANS, COMPACTIONS, RECEIPTS, UNIT_PARTS
from presagio.storage.unit_parts import ANY_UNIT

_ASKED = {"unit": sa.Text, "after": sa.Double, "before": sa.Double}
_NUMBERS = ARRAY(sa.BigInteger)


@dataclass(frozen=True)
class UnitTimes:
    """Units, and between which times readings of theirs are wanted; each a list of one length."""

    units: Sequence[str]
    after: Sequence[float]
    before: Sequence[float]


class PartPlace(NamedTuple):
    """A part: by the number of its receipt, or of its compaction, and its place in there."""

    number: int
    part: int
    is_compacted: bool


class ListedPart(NamedTuple):
    """A part that holds, or may hold, readings of a unit, and from when until when.

    The first three of its fields are a :class:`PartPlace`.
    """

    number: int
    part: int
    is_compacted: bool
    unit: str
    oldest: float
    newest: float


@dataclass(frozen=True)
class FoundPart:
    """Where a part lies.

    Attributes
    ----------
    number
        Of the receipt of its file; of a compaction its own.
    source_key
        The key of that file; empty for a compaction.
    key
        The part's key in the curated data set.
    is_compacted
        Whether it holds rows of many files.
    digest
        SHA-256 of the part, as the receipt has it; empty for a compaction.
    """

    number: int
    source_key: str
    key: str
    is_compacted: bool = False
    digest: str = ""


class PartsOfUnits:
    """Parts of units, all of one moment, also where files are put together meanwhile.

    Parameters
    ----------
    connection
        With the snapshot of that moment.
    owner
        Bucket and fleet.
    """

    def __init__(self, connection: sa.Connection, owner: tuple[str, str]) -> None:
        self._connection, self._owner = connection, owner

    def listed(
        self, wanted: UnitTimes, *, passed: int, count: int, newest_first: bool
    ) -> list[ListedPart]:
        """Return parts that hold, or may hold, readings of units between some times.

        Parameters
        ----------
        wanted
            Units and times.
        passed
            How many parts of each unit to pass over: those that were listed before.
        count
            How many more of each unit to return at most.
        newest_first
            By the newest time of the unit in a part, falling; else by the oldest one, growing.

        Returns
        -------
        list of ListedPart
            Those of one unit in order.
        """
        query = _parts(self._owner, wanted, passed, count, newest_first=newest_first)
        return [ListedPart(*row) for row in self._connection.execute(query)]

    def found(self, places: Sequence[PartPlace]) -> dict[PartPlace, FoundPart]:
        """Return where parts lie that were listed."""
        # A receipt and a compaction may have the same number.
        files = {place.number for place in places if not place.is_compacted}
        many = {place.number for place in places if place.is_compacted}
        return {**self._of_files([*files]), **self._of_compactions([*many])}

    def _of_files(self, numbers: Sequence[int]) -> dict[PartPlace, FoundPart]:
        here = RECEIPTS.c
        query = sa.select(here.id, here.key, here.curated_keys, here.digests).where(
            here.id == sa.any_(sa.literal([*numbers], _NUMBERS))
        )
        return {
            PartPlace(number, part, is_compacted=False):
                FoundPart(number, source, key, digest=digests.get(key, ""))
            for number, source, keys, digests in self._connection.execute(query)
            for part, key in enumerate(keys)
        }  # fmt: skip

    def _of_compactions(self, numbers: Sequence[int]) -> dict[PartPlace, FoundPart]:
        here = COMPACTIONS.c
        query = sa.select(here.id, here["keys"]).where(
            here.id == sa.any_(sa.literal([*numbers], _NUMBERS))
        )
        return {
            PartPlace(number, part, is_compacted=True): FoundPart(number, "", key, True)  # noqa: FBT003
            for number, keys in self._connection.execute(query)
            for part, key in enumerate(keys)
        }


def _parts(
    owner: tuple[str, str], wanted: UnitTimes, passed: int, count: int, *, newest_first: bool
) -> sa.Select[Any]:
    arrays: list[sa.ColumnElement[Any]] = [
        sa.cast([*values], ARRAY(kind))
        for values, kind in zip(vars(wanted).values(), _ASKED.values(), strict=True)
    ]
    asked = sa.func.unnest(*arrays).table_valued(*_ASKED).render_derived(name="asked")
    # So many of each place where they may be: PostgreSQL looks each unit up in an index, and sorts
    # no more than these.
    pages = [
        _of_table(table, owner, name, newest_first=newest_first)
        .where(table.c.newest > asked.c.after, table.c.oldest < asked.c.before)
        .limit(passed + count)
        .correlate(asked)
        for table in (UNIT_PARTS, COMPACTED_SPANS)
        for name in (asked.c.unit, sa.literal(ANY_UNIT))
    ]
    both = sa.union_all(*pages)
    here = both.selected_columns
    order = [here.newest if newest_first else here.oldest]
    order += [here.is_compacted, here.number, here.part]
    page = both.order_by(*(one.desc() if newest_first else one for one in order))
    listed = page.offset(passed).limit(count).lateral("page")
    found = listed.c
    return sa.select(
        found.number, found.part, found.is_compacted, asked.c.unit, found.oldest, found.newest
    ).select_from(asked.join(listed, sa.true()))


def _of_table(
    table: sa.TableClause, owner: tuple[str, str], unit: sa.ColumnElement[str], *,
    newest_first: bool,
) -> sa.Select[Any]:  # fmt: skip
    """Return the query for the parts in which a table has a unit, in the order of an index."""
    is_many = table is COMPACTED_SPANS
    number = table.c.compaction_id if is_many else table.c.receipt_id
    order = [table.c.newest if newest_first else table.c.oldest, number, table.c.part]
    return (
        sa.select(
            number.label("number"), table.c.part, table.c.oldest, table.c.newest,
            sa.literal(is_many).label("is_compacted"),
        )
        .where(table.c.bucket == owner[0], table.c.fleet == owner[1], table.c.unit == unit)
        .order_by(*(one.desc() if newest_first else one for one in order))
    )  # fmt: skip


@contextmanager
def parts_of_units(engine: sa.Engine, bucket: str, fleet: str) -> Iterator[PartsOfUnits]:
    """Open what lists the parts of units: a connection with its snapshot."""
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        yield PartsOfUnits(connection, (bucket, fleet))
