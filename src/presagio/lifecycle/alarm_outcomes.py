"""What became of alarms in service: failures caught and missed, false alarms, lead times, costs.

By the same definition as training evaluates alarms by failures: of a life that ends with a failure
the first alarm counts, see :mod:`presagio.machine.lead_time`. What nobody can know is counted by
itself: alarms that a repair followed, and those whose two horizons are not over.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np

from presagio.machine.costs import Costs
from presagio.machine.lead_time import TOO_EARLY, caught, for_nothing

Fate = Literal["right", "false", "repaired", "unknown"]
_QUARTILES = (25, 50, 75)


@dataclass(frozen=True)
class LifeEnd:
    """A failure or a repair, which ends a life of a unit.

    Attributes
    ----------
    time
        As times are compared.
    is_failure
        Whether it is a failure.
    month
        Such as ``2026-03``.
    watched
        Whether the unit's readings were scored before; else nobody could have given an alarm.
    """

    unit: str
    time: float
    is_failure: bool
    month: str
    watched: bool = True


@dataclass(frozen=True)
class GivenAlarm:
    """An alarm that was given.

    Attributes
    ----------
    time
        Of the reading that confirmed it.
    month
        As of :class:`LifeEnd`.
    outcome
        What its case was closed with; None while it is open.
    """

    unit: str
    time: float
    month: str
    outcome: str | None = None


_Row = TypeVar("_Row", LifeEnd, GivenAlarm)


@dataclass(frozen=True)
class Outcomes:
    """What became of the failures and alarms of a month, or of all.

    Attributes
    ----------
    month
        Empty for all of them together.
    failures
        Of units that were watched: ``caught + too_early + missed``.
    unwatched
        Failures of units whose readings were not scored before.
    alarms
        ``right + false + repaired + unknown``: a failure followed in time; none did, or somebody
        found nothing; a repair followed, so that nobody knows; or it cannot be known yet.
    leads
        From first alarm to failure, of those that were caught, growing; in counts, or days.
    cost, cost_without
        What failures and alarms cost by the spec's costs, and what the failures would have cost
        without alarms. Alarms that a repair followed count with their inspection only.
    prevented
        What these repairs saved besides, if each of them prevented a failure.
    """

    month: str
    failures: int
    caught: int
    too_early: int
    missed: int
    unwatched: int
    alarms: int
    right: int
    false: int
    repaired: int
    unknown: int
    leads: tuple[float, ...]
    cost: float
    cost_without: float
    prevented: float

    @property
    def lead_quartiles(self) -> tuple[float, float, float] | None:
        """The quartiles of the lead times; None where no failure was caught."""
        if not self.leads:
            return None
        low, middle, high = np.percentile(self.leads, _QUARTILES)
        return float(low), float(middle), float(high)


@dataclass(frozen=True)
class _Failure:
    month: str
    lead: float
    caught: bool
    watched: bool


class _Lives:
    """The lives of one unit."""

    def __init__(self, ends: Iterable[LifeEnd]) -> None:
        # At one time a failure comes before the repair.
        self.ends = sorted(ends, key=lambda end: (end.time, not end.is_failure))
        self._times = np.array([end.time for end in self.ends])

    def end_of(self, time: float) -> int:
        """Return the number of the life that a reading is of: at the time of its end, of that."""
        return int(np.searchsorted(self._times, time, side="left"))


def _fate(alarm: GivenAlarm, end: LifeEnd | None, seen_until: float, horizon: float) -> Fate:
    """Tell what an alarm was; what happened counts more than what somebody said of it."""
    left = np.array([end.time - alarm.time if end is not None and end.is_failure else np.nan])
    if not for_nothing(left, horizon)[0]:
        return "right"
    until = seen_until if end is None else end.time
    lived_on = math.isfinite(horizon) and until - alarm.time >= TOO_EARLY * horizon
    quiet = not math.isfinite(horizon) and alarm.outcome == "quiet"
    if lived_on or quiet or alarm.outcome == "false":
        return "false"
    return "unknown" if end is None and alarm.outcome != "repair" else "repaired"


def evaluate_alarms(
    ends: Iterable[LifeEnd], alarms: Iterable[GivenAlarm], seen_until: Mapping[str, float],
    costs: Costs, *, horizon: float | None, day: float = 1.0,
) -> list[Outcomes]:  # fmt: skip
    """Evaluate the alarms of a fleet by its failures.

    Parameters
    ----------
    ends
        Failures and repairs, in any order.
    alarms
        All that were given, in any order.
    seen_until
        The time of each unit's newest reading.
    costs
        What failures and alarms cost.
    horizon
        How far ahead a failure is to be foreseen, in the unit of times; None where the label has
        none: any alarm of the life is for its failure then.
    day
        The unit of lead times, as times are.

    Returns
    -------
    list of Outcomes
        All together, then each month, the newest first. A failure counts in its month, an alarm in
        the month of the reading that confirmed it.
    """
    ahead = math.inf if horizon is None else horizon
    ends_of, alarms_of = _by_unit(ends), _by_unit(alarms)
    failures, fates = list[_Failure](), list[tuple[str, Fate]]()
    for unit in {**ends_of, **alarms_of}:
        lives = _Lives(ends_of.get(unit, ()))
        first: dict[int, float] = {}
        for alarm in sorted(alarms_of.get(unit, ()), key=lambda alarm: alarm.time):
            number = lives.end_of(alarm.time)
            first.setdefault(number, alarm.time)
            end = lives.ends[number] if number < len(lives.ends) else None
            fate = _fate(alarm, end, seen_until.get(unit, -math.inf), ahead)
            fates.append((alarm.month, fate))
        for number, end in enumerate(lives.ends):
            if end.is_failure:
                lead = end.time - first[number] if number in first else math.nan
                in_time = bool(caught(np.array([lead]), ahead)[0])
                # An alarm was given, so somebody watched.
                watched = end.watched or number in first
                failures.append(_Failure(end.month, lead / day, in_time, watched))
    months = sorted({f.month for f in failures} | {month for month, _ in fates}, reverse=True)
    total = _outcomes("", failures, [fate for _, fate in fates], costs)
    return [total, *(
        _outcomes(month, [f for f in failures if f.month == month],
                  [fate for at, fate in fates if at == month], costs)
        for month in months
    )]  # fmt: skip


def _by_unit(rows: Iterable[_Row]) -> dict[str, list[_Row]]:
    found: dict[str, list[_Row]] = {}
    for row in rows:
        found.setdefault(row.unit, []).append(row)
    return found


def _outcomes(
    month: str, failures: Sequence[_Failure], fates: Sequence[Fate], costs: Costs
) -> Outcomes:
    watched = [failure for failure in failures if failure.watched]
    leads = sorted(failure.lead for failure in watched if failure.caught)
    missed = sum(math.isnan(failure.lead) for failure in watched)
    false, repaired = fates.count("false"), fates.count("repaired")
    cost = (len(watched) - len(leads)) * costs.missed_failure
    cost += false * costs.false_alarm + len(fates) * costs.inspection
    return Outcomes(
        month, len(watched), len(leads), len(watched) - len(leads) - missed, missed,
        len(failures) - len(watched), len(fates), fates.count("right"), false, repaired,
        fates.count("unknown"), tuple(leads), cost, len(watched) * costs.missed_failure,
        repaired * costs.missed_failure,
    )  # fmt: skip
