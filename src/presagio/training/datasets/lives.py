"""Which readings come before a failure: labels joined from events, at training time.

A unit's life ends with a failure; its next reading begins another one. A reading is positive if its
unit fails within the horizon, negative if the unit was seen to live beyond it, and else censored:
nobody knows, and it is not learned from.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Positions = NDArray[np.int64]


@dataclass(frozen=True)
class Series:
    """Of which life of which unit rows are, and when they were taken.

    Attributes
    ----------
    units
        Shape ``(n,)``.
    times
        As numbers, shape ``(n,)``.
    lives
        Numbers that no two lives share, shape ``(n,)``.
    left
        Time until the life's failure, shape ``(n,)``; NaN where none is known.
    """

    units: NDArray[Any]
    times: NDArray[Any]
    lives: Positions
    left: Floats

    def take(self, positions: Positions | Bools) -> "Series":
        """Return some rows."""
        return Series(
            self.units[positions], self.times[positions], self.lives[positions],
            self.left[positions],
        )  # fmt: skip


@dataclass(frozen=True)
class HorizonLabels:
    """What is known of rows.

    Attributes
    ----------
    target
        Whether a row's unit fails within the horizon, shape ``(n,)``.
    known
        Whether that is known; other rows are censored.
    series
        Lives, and the time that was left.
    """

    target: Bools
    known: Bools
    series: Series


def label_by_horizon(
    units: NDArray[Any], times: NDArray[Any], failed: Bools | None, horizon: float
) -> HorizonLabels:
    """Label rows by what became of their units.

    Parameters
    ----------
    units, times
        Of which unit each row is, and when it was taken, as a number: shape ``(n,)``.
    failed
        Whether a row is of a failure, shape ``(n,)``; None where each unit's last row is.
    horizon
        How far ahead a failure counts, in the unit of the times; the row of a failure itself counts
        too.
    """
    rows = len(units)
    codes = np.unique(units, return_inverse=True)[1].astype(np.int64)
    order = np.lexsort((times, codes))
    codes, clock = codes[order], times[order].astype(np.float64)
    last = np.append(codes[1:] != codes[:-1], np.ones(min(rows, 1), bool))
    ends = last if failed is None else failed[order]
    # A life is over with its failure: of rows at the same time the first one ends it.
    lives = np.cumsum(np.append(np.zeros(min(rows, 1), bool), (ends | last)[:-1]))
    at = np.arange(rows)
    end = np.minimum.accumulate(np.where(ends | last, at, rows)[::-1])[::-1]
    fails = ends[end] if rows else ends
    ahead = clock[end] - clock if rows else clock
    target = fails & (ahead <= horizon)
    known = fails | (ahead >= horizon)
    back = np.empty(rows, dtype=np.int64)
    back[order] = at
    left = np.where(fails, ahead, np.nan)
    series = Series(units, times, lives[back], left[back])
    return HorizonLabels(target[back], known[back], series)
