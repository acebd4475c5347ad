"""Receipts in pages: of a million of them a thousand are held at a time, and no transaction."""

from array import array
from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from presagio.storage.receipt import Receipt
from presagio.storage.schema import RECEIPTS, receipt_of

PAGE = 1000
_IDS_AT_A_TIME = 10_000


def below(prefix: str) -> sa.ColumnElement[bool]:
    """Return the condition that a receipt's key lies below a prefix, a span of an index.

    Parameters
    ----------
    prefix
        It ends with a slash.
    """
    key, end = RECEIPTS.c.key, f"{prefix[:-1]}{chr(ord(prefix[-1]) + 1)}"
    # As bytes are compared, not as the database's language would have it.
    return sa.and_(
        key.op("~>=~", is_comparison=True)(prefix), key.op("~<~", is_comparison=True)(end)
    )


def each_receipt(
    engine: sa.Engine,
    conditions: Sequence[sa.ColumnElement[bool]],
    *,
    newest_first: bool = False,
    page: int = PAGE,
) -> Iterator[Receipt]:
    """Yield the receipts that meet conditions, by their numbers.

    Receipts that are written meanwhile may be among them or not.
    """
    number = RECEIPTS.c.id
    query = sa.select(RECEIPTS).where(*conditions).limit(page)
    query = query.order_by(number.desc() if newest_first else number)
    last: int | None = None
    while True:
        rest = query
        if last is not None:
            rest = query.where(number < last if newest_first else number > last)
        with engine.connect() as connection:
            found = [receipt_of(row) for row in connection.execute(rest)]
        yield from found
        if len(found) < page:
            return
        last = found[-1].id


def receipts_below(
    engine: sa.Engine,
    conditions: Sequence[sa.ColumnElement[bool]],
    prefix: str,
    *,
    page: int = PAGE,
) -> Iterator[Receipt]:
    """Yield the receipts of keys below a prefix that meet conditions: by key, then by number.

    It is the order of an index, so that a page looks at as many receipts as it has.
    """
    key, number = RECEIPTS.c.key, RECEIPTS.c.id
    query = sa.select(RECEIPTS).where(*conditions).limit(page)
    query = query.order_by(sa.text("receipts.key USING ~<~"), number)
    span, is_of_one_key = below(prefix), False
    while True:
        with engine.connect() as connection:
            found = [receipt_of(row) for row in connection.execute(query.where(span))]
        yield from found
        if len(found) == page:
            # Of its key there may be more: each version of an object has a receipt.
            last, is_of_one_key = found[-1], True
            span = sa.and_(key == last.identity.key, number > last.id)
        elif is_of_one_key:
            is_of_one_key = False
            span = sa.and_(below(prefix), key.op("~>~", is_comparison=True)(last.identity.key))
        else:
            return


def numbers_of(engine: sa.Engine, conditions: Sequence[sa.ColumnElement[bool]]) -> Sequence[int]:
    """Return the numbers of the receipts that meet conditions, growing; 8 bytes each."""
    query = sa.select(RECEIPTS.c.id).where(*conditions).order_by(RECEIPTS.c.id)
    with engine.connect() as connection:
        streamed = connection.execution_options(yield_per=_IDS_AT_A_TIME)
        return array("q", streamed.scalars(query))


def receipts_by_number(
    engine: sa.Engine, numbers: Sequence[int], *, page: int = PAGE
) -> Iterator[Receipt]:
    """Yield receipts by their numbers, growing; those that are gone not."""
    for start in range(0, len(numbers), page):
        some = numbers[start : start + page]
        query: sa.Select[Any] = sa.select(RECEIPTS).where(RECEIPTS.c.id.in_(some))
        with engine.connect() as connection:
            found = connection.execute(query.order_by(RECEIPTS.c.id)).all()
        yield from map(receipt_of, found)
