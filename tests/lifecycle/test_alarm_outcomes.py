"""What became of alarms, by the definition that training has, and what nobody can know."""

import math

import numpy as np
import pytest

from presagio.inference.alarm_rule import alarms_on
from presagio.lifecycle.alarm_outcomes import GivenAlarm, LifeEnd, Outcomes, evaluate_alarms
from presagio.machine.costs import Costs
from presagio.machine.learning import AlarmRule
from presagio.training.datasets.lives import label_by_horizon
from presagio.training.evaluation.events import evaluate_events

_COSTS = Costs(missed_failure=100.0, false_alarm=7.0, inspection=2.0)
_MAY = "2026-05"


def _failure(unit: str, time: float, *, month: str = _MAY, watched: bool = True) -> LifeEnd:
    return LifeEnd(unit, time, is_failure=True, month=month, watched=watched)


def _repair(unit: str, time: float) -> LifeEnd:
    return LifeEnd(unit, time, is_failure=False, month=_MAY)


def _alarm(unit: str, time: float, outcome: str | None = None, month: str = _MAY) -> GivenAlarm:
    return GivenAlarm(unit, time, month, outcome)


def _total(
    ends: list[LifeEnd], alarms: list[GivenAlarm], *, seen: dict[str, float] | None = None,
    horizon: float | None = 10.0,
) -> Outcomes:  # fmt: skip
    return evaluate_alarms(ends, alarms, seen or {}, _COSTS, horizon=horizon)[0]


def test_failures_are_caught_alarmed_too_early_or_missed() -> None:
    ends = [_failure("a", 50), _failure("b", 50), _failure("c", 50)]
    found = _total(ends, [_alarm("a", 42), _alarm("a", 45), _alarm("b", 20)])
    assert (found.failures, found.caught, found.too_early, found.missed) == (3, 1, 1, 1)
    assert (found.right, found.false, found.alarms) == (2, 1, 3)
    assert found.leads == (8.0,)
    assert found.cost == 2 * 100 + 1 * 7 + 3 * 2
    assert found.cost_without == 300


def test_an_alarm_is_for_the_life_in_which_it_was_given() -> None:
    ends = [_failure("a", 50), _failure("a", 80)]
    found = _total(ends, [_alarm("a", 45), _alarm("a", 50)])
    # A reading at the time of a failure is of the life that it ends.
    assert (found.caught, found.missed, found.right) == (1, 1, 2)


@pytest.mark.parametrize(
    ("alarm", "ends", "seen", "fate"),
    [
        (_alarm("a", 10), [_repair("a", 15)], 15, "repaired"),
        # The unit was seen to live for two horizons before it was repaired.
        (_alarm("a", 10), [_repair("a", 40)], 40, "false"),
        (_alarm("a", 10), [], 29, "unknown"),
        (_alarm("a", 10), [], 30, "false"),
        (_alarm("a", 10, "false"), [], 12, "false"),
        (_alarm("a", 10, "quiet"), [], 12, "unknown"),
        (_alarm("a", 10, "repair"), [], 12, "repaired"),
        # What happened counts more than what somebody said of it.
        (_alarm("a", 10, "false"), [_failure("a", 15)], 15, "right"),
    ],
)
def test_what_an_alarm_was(alarm: GivenAlarm, ends: list[LifeEnd], seen: float, fate: str) -> None:
    found = _total(ends, [alarm], seen={"a": seen})
    fates = {"right": found.right, "false": found.false, "repaired": found.repaired,
             "unknown": found.unknown}  # fmt: skip
    assert [name for name, number in fates.items() if number] == [fate]


def test_a_repair_after_an_alarm_may_have_prevented_a_failure() -> None:
    found = _total([_repair("a", 15)], [_alarm("a", 10)])
    assert (found.cost, found.cost_without, found.prevented) == (2.0, 0.0, 100.0)


def test_failures_that_nobody_watched_do_not_count() -> None:
    ends = [_failure("a", 50, watched=False), _failure("b", 50, watched=False)]
    found = _total(ends, [_alarm("b", 45)])
    assert (found.failures, found.caught, found.unwatched) == (1, 1, 1)


def test_without_a_horizon_any_alarm_of_the_life_is_for_its_failure() -> None:
    found = _total(
        [_failure("a", 500)],
        [_alarm("a", 1), _alarm("b", 1, "quiet"), _alarm("c", 1), _alarm("d", 1, "false")],
        horizon=None,
    )
    assert (found.caught, found.right, found.false, found.unknown) == (1, 1, 2, 1)


def test_months_are_counted_by_themselves_the_newest_first() -> None:
    ends = [_failure("a", 50, month="2026-06"), _failure("b", 20, month="2026-04")]
    found = evaluate_alarms(
        ends, [_alarm("a", 49), _alarm("c", 1)], {"c": 99.0}, _COSTS, horizon=10.0, day=0.5
    )
    assert [each.month for each in found] == ["", "2026-06", "2026-05", "2026-04"]
    assert [each.failures for each in found] == [2, 1, 0, 1]
    assert [each.false for each in found] == [1, 0, 1, 0]
    assert found[0].lead_quartiles == found[1].lead_quartiles == (2.0, 2.0, 2.0)
    assert found[2].lead_quartiles is None
    assert found[0].cost == sum(each.cost for each in found[1:])


def test_nothing_became_of_nothing() -> None:
    (found,) = evaluate_alarms([], [], {}, _COSTS, horizon=10.0)
    assert (found.failures, found.alarms, found.cost, found.lead_quartiles) == (0, 0, 0.0, None)


def test_the_counts_are_those_of_the_training() -> None:
    rng, horizon = np.random.default_rng(3), 10.0
    lives, length = 40, 60
    units = np.repeat([f"u{i}" for i in range(lives)], length).astype(object)
    times = np.tile(np.arange(length, dtype=np.float64), lives)
    left = length - 1 - times
    label = (rng.random(len(units)) < 0.02) | (left < rng.integers(0, 40, lives).repeat(length))
    fails = np.repeat(rng.random(lives) < 0.7, length)
    rule = AlarmRule()
    series = label_by_horizon(units, times, fails & (left == 0), horizon).series
    expected = evaluate_events(series, label, rule, horizon=horizon)
    on = alarms_on(label, series.lives, rule)
    rises = on & ~np.concatenate([[False], on[:-1] & (series.lives[1:] == series.lives[:-1])])
    found = _total(
        [_failure(unit, length - 1) for unit in np.unique(units[fails])],
        [_alarm(units[i], times[i]) for i in np.flatnonzero(rises)],
        seen=dict.fromkeys(np.unique(units), math.inf),
    )
    assert (found.failures, found.caught, found.too_early, found.missed) == (
        expected.failures, expected.caught, expected.too_early, expected.missed
    )  # fmt: skip
    assert found.false == expected.false_alarms
    assert found.lead_quartiles is not None
    assert found.lead_quartiles[1] == expected.lead_p50
    assert expected.missed
    assert expected.too_early
