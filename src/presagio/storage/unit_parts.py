"""Where the readings of a unit lie: in which parts of the curated data set, and of what times."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from presagio.storage.schema import RECEIPTS, UNIT_PARTS

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
        Of the file that they came in.
    source_key
        The key of that file.
    key
        The part's key in the curated data set.
    oldest, newest
        Times, as they are compared.
    """

    receipt_id: int
    source_key: str
    key: str
    oldest: float
    newest: float


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


def replace_spans(connection: sa.Connection, filed: Filed, spans: UnitSpans) -> None:
    """Put the spans of a file in the place of those that it had."""
    connection.execute(sa.delete(UNIT_PARTS).where(UNIT_PARTS.c.receipt_id == filed.receipt_id))
    if not spans.units:
        return
    of_file = {name: sa.literal(value) for name, value in vars(filed).items()}
    rows = sa.select(*_listed(spans).c, *of_file.values())
    connection.execute(sa.insert(UNIT_PARTS).from_select([*_COLUMNS, *of_file], rows))


def overlapping_units(connection: sa.Connection, filed: Filed, spans: UnitSpans) -> int:
    """Count the units of which other files have readings among the times of this one's."""
    if not spans.units:
        return 0
    here, known = _listed(spans), UNIT_PARTS.c
    other = sa.select(known.receipt_id).where(
        known.bucket == filed.bucket, known.fleet == filed.fleet,
        known.receipt_id != filed.receipt_id, known.unit == here.c.unit, here.c.unit != ANY_UNIT,
        known.newest >= here.c.oldest, known.oldest <= here.c.newest,
    )  # fmt: skip
    # With a limit PostgreSQL looks each unit up in the index, whatever it knows of the table.
    any_other = other.limit(1).correlate(here).lateral("other")
    query = sa.select(sa.func.count(here.c.unit.distinct())).select_from(
        here.join(any_other, sa.true())
    )
    return int(connection.execute(query).scalar_one())


def _page_of(
    owner: Sequence[sa.ColumnElement[bool]], unit: str, after: Sequence[object] | None,
    *, newest_first: bool,
) -> sa.Select[Any]:  # fmt: skip
    """Return a query for the next parts of one unit, in the order of an index."""
    columns = UNIT_PARTS.c
    place = [columns.newest if newest_first else columns.oldest, columns.receipt_id, columns.part]
    query = (
        sa.select(columns.receipt_id, columns.part, columns.oldest, columns.newest)
        .where(*owner, columns.unit == unit)
        .order_by(*(p.desc() if newest_first else p for p in place))
        .limit(_PAGE)
    )
    if after is None:
        return query
    here, there = sa.tuple_(*place), sa.tuple_(*after)
    return query.where(here < there if newest_first else here > there)


def parts_of_unit(
    engine: sa.Engine, bucket: str, fleet: str, unit: str, *, newest_first: bool
) -> Iterator[UnitPart]:
    """Yield the parts that hold readings of a unit, those with its newest or oldest time first.

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
    owner = [UNIT_PARTS.c.bucket == bucket, UNIT_PARTS.c.fleet == fleet]
    after: Sequence[object] | None = None
    while True:
        # One page each: of both together PostgreSQL would sort all parts.
        pages = [_page_of(owner, u, after, newest_first=newest_first) for u in (unit, ANY_UNIT)]
        found = sa.union_all(*pages).subquery()
        place = [found.c.newest if newest_first else found.c.oldest]
        place += [found.c.receipt_id, found.c.part]
        key = RECEIPTS.c.curated_keys[found.c.part].astext
        query = (
            sa.select(found.c.receipt_id, RECEIPTS.c.key, key, found.c.oldest, found.c.newest)
            .add_columns(*(one.label(f"place_{i}") for i, one in enumerate(place)))
            .join(RECEIPTS, RECEIPTS.c.id == found.c.receipt_id)
            .order_by(*(p.desc() if newest_first else p for p in place))
            .limit(_PAGE)
        )
        with engine.connect() as connection:
            rows = connection.execute(query).all()
        for row in rows:
            yield UnitPart(*row[:5])
        if len(rows) < _PAGE:
            return
        after = rows[-1][5:]
