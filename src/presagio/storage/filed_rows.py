"""Where the rows of filed objects lie: little of each receipt, page by page, however many."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from presagio.storage.schema import COMPACTED_RECEIPTS, RECEIPTS

_PAGE = 10_000


@dataclass(frozen=True)
class FiledRows:
    """Where the rows of one filed object lie.

    Attributes
    ----------
    key
        Of the object, below the incoming prefix.
    keys
        Of its parts in the curated data set.
    rows
        How many were taken.
    compaction_id
        The compaction that they are in besides, or instead; None for none.
    """

    receipt_id: int
    key: str
    keys: Sequence[str]
    rows: int
    compaction_id: int | None


def filed_rows(engine: sa.Engine, bucket: str, fleet: str, *, after: int) -> Iterator[FiledRows]:
    """Yield where the rows of files lie that were taken, oldest file first.

    Parameters
    ----------
    engine
        The database.
    bucket, fleet
        Whose.
    after
        Only those with a higher receipt.
    """
    here = RECEIPTS.c
    query = (
        sa.select(
            here.id, here.key, here.curated_keys, here.rows_processed,
            COMPACTED_RECEIPTS.c.compaction_id,
        )
        .outerjoin_from(
            RECEIPTS, COMPACTED_RECEIPTS, COMPACTED_RECEIPTS.c.receipt_id == here.id
        )
        .where(here.bucket == bucket, here.fleet == fleet, here.verdict == "processed")
        .order_by(here.id)
        .limit(_PAGE)
    )  # fmt: skip
    while True:
        with engine.connect() as connection:
            rows = connection.execute(query.where(here.id > after)).all()
        for row in rows:
            yield FiledRows(*row)
        if len(rows) < _PAGE:
            return
        after = rows[-1].id
