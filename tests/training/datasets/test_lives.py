"""Labels from events: what is known of a reading is known of its unit's future."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from presagio.inference.event_features import EventTimes
from presagio.training.datasets.lives import HorizonLabels, label_by_horizon

_ROWS = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(0, 20), st.booleans()),
    max_size=30,
    unique_by=lambda row: row[:2],
)


def _labels(
    rows: list[tuple[str, int, bool]], horizon: float, *, last: bool = False
) -> HorizonLabels:
    units = np.array([row[0] for row in rows], dtype=object)
    times = np.array([row[1] for row in rows], dtype=np.int64)
    failed = np.array([row[2] for row in rows], dtype=bool)
    return label_by_horizon(units, times, None if last else failed, horizon)


def test_before_a_failure_within_the_horizon_beyond_it_and_unknown() -> None:
    rows = [("a", t, t == 5) for t in range(1, 10)]
    found = _labels(rows, 2)
    assert found.target.tolist() == [False, False, True, True, True, False, False, False, False]
    # Of the second life nothing is known but that it went on for 3.
    assert found.known.tolist() == [True] * 7 + [False] * 2
    assert found.series.lives.tolist() == [0] * 5 + [1] * 4
    assert found.series.left.tolist()[:5] == [4, 3, 2, 1, 0]
    assert np.isnan(found.series.left[5:]).all()


def test_where_each_unit_ran_until_it_failed() -> None:
    rows = [("a", 3, False), ("b", 9, False), ("a", 1, False), ("b", 4, False)]
    found = _labels(rows, 4, last=True)
    assert found.target.tolist() == [True, True, True, False]
    assert found.known.all()


@given(_ROWS, st.integers(1, 25), st.randoms())
def test_as_by_hand_in_any_order(
    rows: list[tuple[str, int, bool]], horizon: int, random: object
) -> None:
    random.shuffle(rows)  # type: ignore[attr-defined]
    found = _labels(rows, horizon)
    for i, (unit, time, _) in enumerate(rows):
        later = sorted((t, failed) for u, t, failed in rows if u == unit and t >= time)
        failures = [t for t, failed in later if failed]
        if failures:
            assert found.series.left[i] == failures[0] - time
            assert (found.target[i], found.known[i]) == (failures[0] - time <= horizon, True)
        else:
            assert not found.target[i]
            assert found.known[i] == (later[-1][0] - time >= horizon)


@pytest.mark.parametrize("horizon", [1.0])
def test_no_rows(horizon: float) -> None:
    assert len(_labels([], horizon).target) == 0


def _log(*rows: tuple[str, float, bool]) -> EventTimes:
    return EventTimes(
        np.array([row[0] for row in rows], dtype=object),
        np.array([row[1] for row in rows], dtype=np.float64),
        np.array([row[2] for row in rows], dtype=bool),
        np.ones(len(rows), dtype=bool),
    )


def test_failures_and_repairs_of_a_log_end_lives() -> None:
    units = np.array(["a"] * 8 + ["b"] * 3, dtype=object)
    times = np.array([*range(8), 0, 1, 2])
    log = _log(("a", 3.5, True), ("a", 6, False), ("b", 9, True))
    found = label_by_horizon(units, times, np.zeros(11, dtype=bool), 2, log)
    assert found.series.lives.tolist() == [0] * 4 + [1] * 3 + [2] + [3] * 3
    assert found.series.left.tolist()[:4] == [3.5, 2.5, 1.5, 0.5]
    assert found.target.tolist() == [False, False, True, True] + [False] * 7
    # Nobody knows how long it would have gone on without the repair at 6, or after 7.
    assert found.known.tolist() == [True] * 4 + [True, False, False, False] + [True] * 3


@given(_ROWS, st.integers(1, 25))
def test_a_log_says_the_same_as_rows_of_failures(
    rows: list[tuple[str, int, bool]], horizon: int
) -> None:
    """A failure that a log tells of at the time of a reading is that reading's."""
    plain = _labels(rows, horizon)
    failures = [(unit, float(time), True) for unit, time, failed in rows if failed]
    units = np.array([row[0] for row in rows], dtype=object)
    times = np.array([row[1] for row in rows], dtype=np.int64)
    logged = label_by_horizon(
        units, times, np.zeros(len(rows), dtype=bool), horizon, _log(*failures)
    )
    np.testing.assert_array_equal(plain.target, logged.target)
    np.testing.assert_array_equal(plain.known, logged.known)
    np.testing.assert_array_equal(plain.series.left, logged.series.left)
