"""From when, and until when, units were watched: readings of theirs that were scored."""

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from presagio.storage.alarm_tables import SCORED_RECEIPTS, UNIT_STATES
from presagio.storage.database import translated
from presagio.storage.schema import COMPACTED_RECEIPTS, COMPACTED_SPANS, COMPACTIONS, UNIT_PARTS

_NAMES = ARRAY(sa.Text)


def seen_until(engine: sa.Engine, fleet: str, units: Collection[str]) -> dict[str, float]:
    """Return the time of the newest reading of units that was scored, as times are compared."""
    here = UNIT_STATES.c
    query = sa.select(here.unit, here.reading_time).where(
        here.fleet == fleet, here.unit == sa.any_(sa.literal([*units], _NAMES)),
        here.reading_time.is_not(None),
    )  # fmt: skip
    with translated(), engine.connect() as connection:
        return {unit: float(time) for unit, time in connection.execute(query)}


def first_scored(engine: sa.Engine, fleet: str) -> int | None:
    """Return the lowest number of a file of readings that was scored; None where none was."""
    here = SCORED_RECEIPTS.c
    query = sa.select(sa.func.min(here.receipt_id)).where(here.fleet == fleet, here.model != "")
    with translated(), engine.connect() as connection:
        found: int | None = connection.execute(query).scalar_one()
    return found


def watched_from(
    engine: sa.Engine, bucket: str, fleet: str, units: Collection[str]
) -> dict[str, float]:
    """Return from which time on readings of units were scored, as times are compared.

    Files that were put together count by their first and last one: where only the last was scored,
    by the newest reading among them.

    Parameters
    ----------
    engine
        The database.
    bucket, fleet
        Whose.
    units
        Which ones; of those without a scored reading nothing is returned.
    """
    asked = sa.func.unnest(sa.cast([*units], _NAMES)).table_valued("unit").render_derived()
    queries = [_oldest(asked, bucket, fleet), _oldest_compacted(asked, bucket, fleet)]
    found: dict[str, float] = {}
    with translated(), engine.connect() as connection:
        for query in queries:
            for unit, time in connection.execute(query):
                found[unit] = min(float(time), found.get(unit, float("inf")))
    return found


def _oldest(asked: sa.TableValuedAlias, bucket: str, fleet: str) -> sa.Select[Any]:
    """Return the query for the oldest part of each unit that was scored, looked up in an index."""
    here = UNIT_PARTS.c
    scored = sa.exists().where(SCORED_RECEIPTS.c.receipt_id == here.receipt_id)
    first = (
        sa.select(here.oldest)
        .where(here.bucket == bucket, here.fleet == fleet, here.unit == asked.c.unit, scored)
        .order_by(here.oldest)
        .limit(1)
        .correlate(asked)
        .lateral("first")
    )
    return sa.select(asked.c.unit, first.c.oldest).join_from(asked, first, sa.true())


def _oldest_compacted(asked: sa.TableValuedAlias, bucket: str, fleet: str) -> sa.Select[Any]:
    here, together = COMPACTED_SPANS.c, COMPACTED_RECEIPTS.c
    ends = (
        sa.select(
            together.compaction_id, sa.func.min(together.receipt_id).label("first"),
            sa.func.max(together.receipt_id).label("last"),
        )
        .join(COMPACTIONS, COMPACTIONS.c.id == together.compaction_id)
        .where(COMPACTIONS.c.bucket == bucket, COMPACTIONS.c.fleet == fleet)
        .group_by(together.compaction_id)
        .cte("ends")
    )  # fmt: skip

    def scored(receipt: sa.ColumnElement[int]) -> sa.ColumnElement[bool]:
        return sa.exists().where(SCORED_RECEIPTS.c.receipt_id == receipt)

    since = sa.func.min(sa.case((scored(ends.c.first), here.oldest), else_=here.newest))
    return (
        sa.select(here.unit, since)
        .join(ends, ends.c.compaction_id == here.compaction_id)
        .join_from(COMPACTED_SPANS, asked, asked.c.unit == here.unit)
        .where(here.bucket == bucket, here.fleet == fleet, scored(ends.c.last))
        .group_by(here.unit)
    )
