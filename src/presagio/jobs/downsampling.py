"""Many values over time as so few as a chart shows: the least and the largest of each bucket."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Where readings are further apart than so many usual steps, there were none: a chart has a gap.
_GAP_STEPS = 4.0


@dataclass(frozen=True)
class Drawn:
    """Values as they are drawn; a gap is NaN.

    Attributes
    ----------
    times
        Shape ``(b,)``, growing.
    low, high
        By name, shape ``(b,)`` each: the least and the largest value of a bucket. Where each point
        is a value of its own they are the same array.
    bucket
        How long a bucket is, as times are; None where each point is a value of its own.
    """

    times: Floats
    low: Mapping[str, Floats]
    high: Mapping[str, Floats]
    bucket: float | None


def downsample(times: Floats, values: Mapping[str, Floats], most: int) -> Drawn:
    """Return values as at most so many points.

    Nothing is averaged out: what was highest or lowest is seen. A bucket without readings is a gap,
    and so is a point between readings that are far apart.

    Parameters
    ----------
    times
        Shape ``(n,)``, growing.
    values
        By name, shape ``(n,)`` each; NaN where there is none.
    most
        How many buckets, or points; a gap between points is one more.
    """
    if len(times) <= most:
        places, clock = _with_gaps(times)
        drawn = {name: _at(found, places) for name, found in values.items()}
        return Drawn(clock, drawn, drawn, None)
    width = (times[-1] - times[0]) / most
    bucket = np.minimum(((times - times[0]) / width).astype(np.int64), most - 1)
    starts = np.flatnonzero(np.diff(bucket, prepend=-1))
    filled = bucket[starts]
    low, high = {}, {}
    for name, found in values.items():
        known = ~np.isnan(found)
        low[name] = _least(np.where(known, found, np.inf), starts, filled, most)
        high[name] = -_least(np.where(known, -found, np.inf), starts, filled, most)
    return Drawn(times[0] + width * (np.arange(most) + 0.5), low, high, float(width))


def _least(
    values: Floats, starts: NDArray[np.int64], filled: NDArray[np.int64], most: int
) -> Floats:
    found = np.full(most, np.nan)
    least = np.minimum.reduceat(values, starts)
    found[filled] = np.where(np.isinf(least), np.nan, least)
    return found


def _with_gaps(times: Floats) -> tuple[NDArray[np.int64], Floats]:
    """Return the places of points, -1 for a gap between two, and their times."""
    places = np.arange(len(times))
    steps = np.diff(times)
    if not len(steps):
        return places, times
    far = np.flatnonzero(steps > _GAP_STEPS * float(np.median(steps)))
    middles = (times[far] + times[far + 1]) / 2.0
    return np.insert(places, far + 1, -1), np.insert(times, far + 1, middles)


def _at(values: Floats, places: NDArray[np.int64]) -> Floats:
    if not len(values):
        return values
    return np.where(places < 0, math.nan, values[places])


def newest_of_buckets(times: Floats, values: Sequence[float] | Floats, drawn: Drawn) -> Floats:
    """Return for each point of a chart the newest of other values up to the end of its bucket.

    Parameters
    ----------
    times, values
        Shape ``(n,)``; times grow, and there is one at least.
    drawn
        The chart.
    """
    until = drawn.times + (0.0 if drawn.bucket is None else drawn.bucket / 2.0)
    last = np.searchsorted(times, until, side="right") - 1
    return np.asarray(values, dtype=np.float64)[np.maximum(last, 0)]
