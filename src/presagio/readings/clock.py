"""The fast path of single timestamps: those that are plainly one, without a table.

A text that is left here may be a time still, as :mod:`.instants` says; one that is taken is the
same time there (a property test compares the two). To ask a table for twenty takes milliseconds.
"""

import re
from datetime import UTC, datetime, timedelta

_PLAIN = re.compile(
    r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2}(?:\.(?:\d{3}|\d{6}))?)?(Z|[+-]\d{2}:\d{2})?",
    re.ASCII,
)
_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
# A year beyond these is a slip of the pen, and some are beyond what Python's times can be.
FIRST, END = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


def plain_instant(text: str, *, of_utc: bool) -> int | None:
    """Return the microseconds since 1970 of a timestamp; None where it is not plainly one.

    Parameters
    ----------
    text
        Stripped text.
    of_utc
        Whether times without an offset are of UTC. Those of other zones are left: Python and Polars
        have tables of zones of their own, which differ in far years.
    """
    if (found := _PLAIN.fullmatch(text)) is None:
        return None
    try:
        time = datetime.fromisoformat(text)
        if found[1] is None:
            if not of_utc:
                return None
            time = time.replace(tzinfo=UTC)
        instant = time.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    if not FIRST <= instant < END:
        return None
    return (instant - _EPOCH) // _MICROSECOND
