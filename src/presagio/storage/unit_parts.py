"""Where the readings of a unit lie: in which parts of the curated data set, and of what times."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from presagio.storage.schema import (
    COMPACTED_RECEIPTS,
    COMPACTED_SPANS,
    COMPACTIONS,
    RECEIPTS,
    UNIT_PARTS,
)

# A part that may hold readings of any unit.
ANY_UNIT = ""
_PAGE = 100
_COLUMNS = {"unit": sa.Text, "part": sa.Integer, "oldest": sa.Double, "newest": sa.Double}


@dataclass(frozen=True)
class UnitSpans:
    """What the parts of one file hold; each a list of one length.

    Attributes
    ----------
    units
        Names; ``ANY_UNIT`` for a part with too many to list.
    parts
        Numbers of the parts.
    oldest, newest
        Times of the unit in the part, as times are compared.
    """

    units: Sequence[str] = ()
    parts: Sequence[int] = ()
    oldest: Sequence[float] = ()
    newest: Sequence[float] = ()


@dataclass(frozen=True)
class UnitPart:
    """A part that holds, or may hold, readings of a unit.

    Attributes
    ----------
    receipt_id
        Of the file that they came in; of a compaction its number.
    source_key
        The key of that file; empty for a compaction.
    key
        The part's key in the curated data set.
    oldest, newest
        Times, as they are compared.
    is_compacted
        Whether it holds rows of many files.
    digest
        SHA-256 of the part, as the receipt has it; empty for a compaction.
    """

    receipt_id: int
    source_key: str
    key: str
    oldest: float
    newest: float
    is_compacted: bool = False
    digest: str = ""


_FIELDS = len(fields(UnitPart))


@dataclass(frozen=True)
class Filed:
    """Which receipt of which bucket and fleet spans are of."""

    receipt_id: int
    bucket: str
    fleet: str


def _listed(spans: UnitSpans) -> sa.TableValuedAlias:
    """Return spans as rows of a table, whose columns go over as one array each."""
    arrays: list[sa.ColumnElement[Any]] = [
        sa.cast(list(values), ARRAY(kind))
        for values, kind in zip(vars(spans).values(), _COLUMNS.values(), strict=True)
    ]
    return sa.func.unnest(*arrays).table_valued(*_COLUMNS).render_derived(name="spans")


def insert_spans(
    connection: sa.Connection, table: sa.TableClause, of_all: Mapping[str, Any], spans: UnitSpans
) -> None:
    """Write spans into a table, each with the values that are the same of all."""
    if not spans.units:
        return
    values = {name: sa.literal(value) for name, value in of_all.items()}
    rows = sa.select(*_listed(spans).c, *values.values())
    connection.execute(sa.insert(table).from_select([*_COLUMNS, *values], rows))


def replace_spans(connection: sa.Connection, filed: Filed, spans: UnitSpans) -> None:
    """Put the spans of a file in the place of those that it had.

    Its rows are in no compaction any more: what that holds of them is of before.
    """
    for table in (UNIT_PARTS, COMPACTED_RECEIPTS):
        connection.execute(sa.delete(table).where(table.c.receipt_id == filed.receipt_id))
    insert_spans(connection, UNIT_PARTS, vars(filed), spans)


def overlapping_units(connection: sa.Connection, filed: Filed, spans: UnitSpans) -> int:
    """Count the units of which other files have readings among the times of this one's.

    Files that were put together count as one.
    """
    if not spans.units:
        return 0
    here = _listed(spans)
    its_compaction = (
        sa.select(COMPACTED_RECEIPTS.c.compaction_id)
        .where(COMPACTED_RECEIPTS.c.receipt_id == filed.receipt_id)
        .scalar_subquery()
    )

    def among(known: Any, another: sa.ColumnElement[bool]) -> sa.Select[Any]:
        query = sa.select(known.part).where(
            known.bucket == filed.bucket, known.fleet == filed.fleet, another,
            known.unit == here.c.unit, here.c.unit != ANY_UNIT,
            known.newest >= here.c.oldest, known.oldest <= here.c.newest,
        )  # fmt: skip
        # With a limit PostgreSQL looks each unit up in the index, whatever it knows of the table.
        return query.limit(1).correlate(here)

    of_files = among(UNIT_PARTS.c, UNIT_PARTS.c.receipt_id != filed.receipt_id)
    of_many = among(
        COMPACTED_SPANS.c, COMPACTED_SPANS.c.compaction_id.is_distinct_from(its_compaction)
    )
    any_other = sa.union_all(of_files, of_many).limit(1).lateral("other")
    query = sa.select(sa.func.count(here.c.unit.distinct())).select_from(
        here.join(any_other, sa.true())
    )
    return int(connection.execute(query).scalar_one())


def _parts_of(
    table: sa.TableClause, owner: tuple[str, str], unit: str, after: Sequence[object] | None,
    *, newest_first: bool,
) -> sa.Select[Any]:  # fmt: skip
    """Return a query for the next parts in which a table has a unit, in the order of an index."""
    columns, is_many = table.c, sa.literal(table is COMPACTED_SPANS)
    number = columns.compaction_id if table is COMPACTED_SPANS else columns.receipt_id
    place = [columns.newest if newest_first else columns.oldest, is_many, number, columns.part]
    query = (
        sa.select(
            number.label("number"), columns.part, columns.oldest, columns.newest,
            is_many.label("is_many"),
        )
        .where(columns.bucket == owner[0], columns.fleet == owner[1], columns.unit == unit)
        .order_by(*(p.desc() if newest_first else p for p in place if p is not is_many))
        .limit(_PAGE)
    )  # fmt: skip
    if after is None:
        return query
    here, there = sa.tuple_(*place), sa.tuple_(*after)
    return query.where(here < there if newest_first else here > there)


def _page(
    owner: tuple[str, str], unit: str, after: Sequence[object] | None, *, newest_first: bool
) -> sa.Select[Any]:
    """Return the query of one page, the place of each row behind the fields of its part."""
    # One page each: of all together PostgreSQL would sort all parts.
    pages = [
        _parts_of(table, owner, name, after, newest_first=newest_first)
        for table in (UNIT_PARTS, COMPACTED_SPANS)
        for name in (unit, ANY_UNIT)
    ]
    both = sa.union_all(*pages).subquery()
    found = both.c
    of_file = RECEIPTS.c.curated_keys[found.part].astext
    shown = [
        found.number, sa.func.coalesce(RECEIPTS.c.key, ""),
        sa.func.coalesce(of_file, COMPACTIONS.c["keys"][found.part].astext),
        found.oldest, found.newest, found.is_many,
        sa.func.coalesce(RECEIPTS.c.digests.op("->>")(of_file), ""),
    ]  # fmt: skip
    place = [found.newest if newest_first else found.oldest]
    place += [found.is_many, found.number, found.part]
    return (
        sa.select(*shown, *(one.label(f"place_{i}") for i, one in enumerate(place)))
        .select_from(both)
        .outerjoin(RECEIPTS, sa.and_(~found.is_many, RECEIPTS.c.id == found.number))
        .outerjoin(COMPACTIONS, sa.and_(found.is_many, COMPACTIONS.c.id == found.number))
        .order_by(*(p.desc() if newest_first else p for p in place))
        .limit(_PAGE)
    )


def parts_of_unit(
    engine: sa.Engine, bucket: str, fleet: str, unit: str, *, newest_first: bool
) -> Iterator[UnitPart]:
    """Yield the parts that hold readings of a unit, those with its newest or oldest time first.

    All are of one moment, also where files are put together meanwhile: as long as the iterator
    lives it keeps a connection with its snapshot.

    Parameters
    ----------
    engine
        The database.
    bucket, fleet
        Whose.
    unit
        The unit.
    newest_first
        By ``newest``, falling; else by ``oldest``, growing.
    """
    after: Sequence[object] | None = None
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        while True:
            page = _page((bucket, fleet), unit, after, newest_first=newest_first)
            rows = connection.execute(page).all()
            for row in rows:
                yield UnitPart(*row[:_FIELDS])
            if len(rows) < _PAGE:
                return
            after = rows[-1][_FIELDS:]
