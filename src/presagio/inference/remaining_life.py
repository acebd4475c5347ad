"""How long a unit has left: a value with an interval, from what a manifest says of its errors."""

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
    width = np.array(table.widths)[np.searchsorted(np.array(table.levels), value, side="right")]
    high = value + width
    return RemainingLife(
        value, np.maximum(value - width, 0.0), np.where(high >= table.most, np.nan, high)
    )


def as_answer(table: RemainingTable, found: RemainingLife) -> dict[str, Any]:
    """Return what is answered of one reading."""
    high = float(found.high[0])
    return {
        "value": float(found.value[0]),
        "low": float(found.low[0]),
        "high": None if np.isnan(high) else high,
        "unit": table.unit,
        "coverage": table.coverage,
    }
