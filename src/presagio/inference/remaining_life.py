"""How long a unit has left: a value with an interval, from what a manifest says of its errors."""

from bisect import bisect_right
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from presagio.inference.manifest import RemainingTable

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class RemainingLife:
    """The time left of ``n`` readings; each array has shape ``(n,)``.

    Attributes
    ----------
    value
        From 0 to the most that is told apart.
    low, high
        Between these it is in so many of 100 units as the table says; ``high`` is NaN where it may
        be longer than is told apart.
    """

    value: Floats
    low: Floats
    high: Floats


def with_interval(table: RemainingTable, value: Floats) -> RemainingLife:
    """Put an interval around predicted times, shape ``(n,)``."""
    width = np.array(table.widths)[np.searchsorted(table.levels, value, side="right")]
    high = value + width
    return RemainingLife(
        value, np.maximum(value - width, 0.0), np.where(high >= table.most, np.nan, high)
    )


def as_answer(table: RemainingTable, value: float) -> dict[str, Any]:
    """Return what is answered of one reading: as :func:`with_interval`, without arrays of one."""
    width = table.widths[bisect_right(table.levels, value)]
    high = value + width
    return {
        "value": value,
        "low": max(value - width, 0.0),
        "high": None if high >= table.most else high,
        "unit": table.unit,
        "coverage": table.coverage,
    }
