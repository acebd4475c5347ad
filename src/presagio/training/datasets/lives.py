"""Which readings come before a failure: labels joined from events, at training time.

A unit's life ends with a failure; its next reading begins another one. A reading is positive if its
unit fails within the horizon, negative if the unit was seen to live beyond it, and else censored:
nobody knows, and it is not learned from. A repair ends a life too, and nobody knows how long it
would have gone on.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from presagio.inference.event_features import EventTimes

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Positions = NDArray[np.int64]

# At one time of a unit: readings come first, then what fails, then what is repaired.
_READING, _FAILURE, _REPAIR = range(3)


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
    units: NDArray[Any], times: NDArray[Any], failed: Bools | None, horizon: float,
    log: EventTimes | None = None,
) -> HorizonLabels:  # fmt: skip
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
    log
        Failures and repairs besides; errors end no life. A reading at the time of one is of the
        life that it ends.
    """
    rows = len(units)
    marks = np.zeros(rows, dtype=np.int64)
    everyone, clock = units, times.astype(np.float64)
    if log is not None:
        ended = log.ended
        everyone = np.concatenate([units, log.units[ended]])
        clock = np.concatenate([clock, log.times[ended].astype(np.float64)])
        marks = np.concatenate([marks, np.where(log.failed[ended], _FAILURE, _REPAIR)])
    codes = np.unique(everyone, return_inverse=True)[1].astype(np.int64)
    order = np.lexsort((marks, clock, codes))
    codes, clock, marks = codes[order], clock[order], marks[order]
    fails = marks == _FAILURE
    if failed is None:
        # Of each unit the reading that no other one comes after.
        readings = np.flatnonzero(marks == _READING)
        fails[readings] |= np.diff(codes[readings], append=-1) != 0
    else:
        fails[order < rows] |= failed[order[order < rows]]
    total = len(order)
    # A life is over with its failure: of rows at the same time the first one ends it.
    ends = fails | (marks == _REPAIR) | (np.diff(codes, append=-1) != 0)
    lives = np.cumsum(np.append(np.zeros(min(total, 1), bool), ends[:-1]))
    end = np.minimum.accumulate(np.where(ends, np.arange(total), total)[::-1])[::-1]
    fails = fails[end] if total else fails
    ahead = clock[end] - clock if total else clock
    back = np.empty(total, dtype=np.int64)
    back[order] = np.arange(total)
    back = back[:rows]
    series = Series(units, times, lives[back], np.where(fails, ahead, np.nan)[back])
    return HorizonLabels(
        (fails & (ahead <= horizon))[back], (fails | (ahead >= horizon))[back], series
    )
