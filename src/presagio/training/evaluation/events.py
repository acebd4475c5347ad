"""How alarms do by failures, not by rows: caught or missed, how early, how often for nothing.

An alarm goes off where so many of a unit's newest readings say so (``[alarm] confirm``); of a life
that ends with a failure its first one counts.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from presagio.inference.alarm_rule import alarms_on
from presagio.machine.lead_time import caught as caught_in_time
from presagio.machine.lead_time import for_nothing
from presagio.machine.learning import AlarmRule
from presagio.training.datasets.lives import Series

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]

_PER = 1000.0
_LEADS = (10, 50, 90)


@dataclass(frozen=True)
class EventMetrics:
    """How alarms do by failures.

    Attributes
    ----------
    failures
        Lives that end with one.
    caught, too_early, missed
        Those whose first alarm comes less than two horizons before, earlier, or never.
    lead_p10, lead_p50, lead_p90
        Percentiles of the time from first alarm to failure, of those that were caught; None where
        none was. In counts, or in days.
    false_alarms
        Alarms that go off two horizons or more before a failure, or where none was seen.
    false_alarms_per_1000
        Of 1,000 counts, or days, of units that were not within the horizon.
    rises_per_life
        How often an alarm goes off in a life, at the mean of those in which one does.
    """

    failures: int
    caught: int
    too_early: int
    missed: int
    lead_p10: float | None
    lead_p50: float | None
    lead_p90: float | None
    false_alarms: int
    false_alarms_per_1000: float | None
    rises_per_life: float | None


@dataclass(frozen=True)
class OrderedLives:
    """Rows life by life, in order of time, with where an alarm is on.

    Attributes
    ----------
    order
        Places of the rows, shape ``(n,)``; what follows is in this order.
    lives, left, on
        Of which life each row is, the time until its failure, whether an alarm is on: ``(n,)``.
    starts, ends
        Where each life begins, and where the next does: shape ``(lives,)``.
    fails
        Whether it ends with a failure, shape ``(lives,)``.
    """

    order: NDArray[np.int64]
    lives: NDArray[np.int64]
    left: Floats
    on: Bools
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    fails: Bools


def order_lives(series: Series, label: Bools, rule: AlarmRule) -> OrderedLives:
    """Put rows in order, and tell where an alarm is on; ``label`` has shape ``(n,)``."""
    order = np.lexsort((series.times, series.lives))
    lives, left = series.lives[order], series.left[order]
    starts = np.flatnonzero(np.diff(lives, prepend=-1) != 0)
    return OrderedLives(
        order, lives, left, alarms_on(label[order], lives, rule), starts,
        np.append(starts[1:], len(lives))[: len(starts)], ~np.isnan(left[starts]),
    )  # fmt: skip


def first_alarms(series: Series, label: Bools, rule: AlarmRule) -> Floats:
    """Return the time from the first alarm to the failure of each life that ends with one.

    Parameters
    ----------
    series
        Lives of ``n`` rows.
    label
        What is predicted of each, shape ``(n,)``.
    rule
        When an alarm goes off.

    Returns
    -------
    ndarray
        Shape ``(failures,)``, by the number of the life; NaN where no alarm went off.
    """
    return _leads(order_lives(series, label, rule))


def _leads(ordered: OrderedLives) -> Floats:
    fails, on = ordered.fails, ordered.on
    leads = [
        ordered.left[start + np.argmax(on[start:end])] if on[start:end].any() else np.nan
        for start, end in zip(ordered.starts[fails], ordered.ends[fails], strict=True)
    ]
    return np.array(leads, dtype=np.float64)


def evaluate_events(
    series: Series, label: Bools, rule: AlarmRule, *, horizon: float, day: float = 1.0
) -> EventMetrics:
    """Evaluate alarms by failures.

    Parameters
    ----------
    series
        Lives of ``n`` rows.
    label
        What is predicted of each, shape ``(n,)``.
    rule
        When an alarm goes off.
    horizon
        How far ahead a failure is to be foreseen, in the unit of the times.
    day
        The unit of lead times, and of what false alarms are counted by: 1 of a count, a day of
        timestamps.
    """
    ordered = order_lives(series, label, rule)
    lives, left, on, places = ordered.lives, ordered.left, ordered.on, ordered.starts
    times = series.times[ordered.order]
    before = np.append(np.zeros(min(len(on), 1), bool), on[:-1])
    before[places] = False
    rises = on & ~before
    leads = _leads(ordered)
    caught = caught_in_time(leads, horizon)
    false = int((rises & for_nothing(left, horizon)).sum())
    per_life = np.add.reduceat(rises.astype(np.int64), places) if len(places) else np.zeros(0)
    quiet = _time_of(times, lives, np.isnan(left) | (left > horizon)) / day
    ahead = [float(np.percentile(leads[caught], q)) / day if caught.any() else None for q in _LEADS]
    return EventMetrics(
        failures=len(leads),
        caught=int(caught.sum()),
        too_early=int((~caught & ~np.isnan(leads)).sum()),
        missed=int(np.isnan(leads).sum()),
        lead_p10=ahead[0],
        lead_p50=ahead[1],
        lead_p90=ahead[2],
        false_alarms=false,
        false_alarms_per_1000=_PER * false / quiet if quiet > 0 else None,
        rises_per_life=float(per_life[per_life > 0].mean()) if (per_life > 0).any() else None,
    )


def _time_of(times: NDArray[np.float64], lives: NDArray[np.int64], wanted: Bools) -> float:
    """Return how long lives were seen, from one wanted row to the next."""
    steps = np.diff(times.astype(np.float64))
    within = (lives[1:] == lives[:-1]) & wanted[1:] & wanted[:-1]
    return float(steps[within].sum())
