"""Which units the parts of the curated data set hold, and of what times, noted as files are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from presagio.storage.schema import COMPACTED_RECEIPTS, COMPACTED_SPANS, UNIT_PARTS

# A part that may hold readings of any unit.
ANY_UNIT = ""
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
