import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from presagio.inference.measures import row_costs, total_cost
from presagio.machine.costs import Costs
from presagio.training.search.thresholds import choose_thresholds

EQUAL = Costs(missed_failure=1.0, false_alarm=1.0)
TARGET = np.array([False, False, True, False, True, True])
SCORES = np.array([[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]])


def test_what_answers_cost() -> None:
    costs = Costs(missed_failure=10.0, false_alarm=2.0, inspection=0.5)
    target, alarm = np.array([True, True, False, False]), np.array([True, False, True, False])
    assert row_costs(target, alarm, costs).tolist() == [0.5, 10.0, 2.5, 0.0]
    assert total_cost(target, alarm, costs) == 13.0


def test_what_is_dear_moves_the_threshold() -> None:
    failures = choose_thresholds(TARGET, SCORES, Costs(missed_failure=5.0, false_alarm=1.0))
    alarms = choose_thresholds(TARGET, SCORES, Costs(missed_failure=1.0, false_alarm=5.0))
    assert (failures.cost, alarms.cost) == (1.5, 3.5)
    assert failures.f1 == alarms.f1 == 1.5
    assert failures.precision_at_recall == 1.5


def test_no_more_alarms_than_can_be_inspected() -> None:
    costs = Costs(missed_failure=100.0, false_alarm=1.0, max_alarm_share=0.34)
    assert choose_thresholds(TARGET, SCORES, costs).cost == 3.5


def test_never_to_warn_can_be_cheapest() -> None:
    costs = Costs(missed_failure=1.0, false_alarm=0.0, inspection=2.0)
    assert choose_thresholds(TARGET, SCORES, costs).cost > 5.0


def test_the_median_of_repeats_is_taken() -> None:
    scores = np.stack([SCORES[0], SCORES[0] + 1.0, SCORES[0] + 100.0])
    assert choose_thresholds(TARGET, scores, EQUAL).cost == 2.5


@given(
    st.lists(st.tuples(st.booleans(), st.integers(-5, 5)), min_size=2, max_size=40),
    st.floats(0.1, 10), st.floats(0, 10), st.floats(0, 5),
)  # fmt: skip
def test_no_threshold_is_cheaper(
    rows: list[tuple[bool, int]], missed: float, false: float, inspection: float
) -> None:
    target = np.array([failed for failed, _ in rows])
    score = np.array([float(value) for _, value in rows])
    costs = Costs(missed_failure=missed, false_alarm=false, inspection=inspection)
    chosen = choose_thresholds(target, score[None, :], costs).cost
    found = total_cost(target, score >= chosen, costs)
    cheapest = min(total_cost(target, score >= t, costs) for t in np.arange(-5.5, 6.5))
    assert found == pytest.approx(cheapest)
