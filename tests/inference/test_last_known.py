"""Values carried forward: of the unit, from before, the same however rows come in parts."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from presagio.inference.imputation import as_read, fit_imputation
from presagio.inference.last_known import Floats, LastKnown
from tests.motors import motors

_SPEC = motors()
_CARRIED = [_SPEC.input_names.index(name) for name in _SPEC.carried_names]
_NUMBER = st.one_of(st.just(np.nan), st.integers(0, 9).map(float))
_ROW = st.tuples(st.sampled_from("abc"), st.integers(0, 5), *[_NUMBER] * 3)


def _arrays(rows: list[tuple[str, int, float, float, float]]) -> tuple[Any, Any, Any]:
    inputs = np.array([[*row[2:], 1.0] for row in rows], dtype=float).reshape(-1, 4)
    units = np.array(["abc".index(row[0]) for row in rows], dtype=np.int64)
    return inputs, units, np.array([row[1] for row in rows], dtype=np.int64)


def _by_hand(inputs: Floats, units: Floats, times: Floats) -> Floats:
    """Carry row by row, as the rule is told."""
    out, newest, last = inputs.copy(), dict[float, float](), dict[tuple[float, int], float]()
    for i, (unit, time) in enumerate(zip(units, times, strict=True)):
        if time < newest.get(unit, -np.inf):
            continue
        newest[unit] = time
        for place in _CARRIED:
            if np.isnan(out[i, place]):
                out[i, place] = last.get((unit, place), np.nan)
            last[unit, place] = out[i, place]
    return out


@given(st.lists(_ROW, max_size=25), st.integers(1, 25))
def test_as_by_hand_and_in_parts_as_at_once(
    rows: list[tuple[str, int, float, float, float]], part: int
) -> None:
    inputs, units, times = _arrays(rows)
    at_once = LastKnown(_SPEC).carry(inputs, units, times)
    np.testing.assert_array_equal(at_once[:, :4], _by_hand(inputs, units, times))
    np.testing.assert_array_equal(as_read(_SPEC, at_once), inputs)
    last = LastKnown(_SPEC)
    parts = [
        last.carry(inputs[i : i + part], units[i : i + part], times[i : i + part])
        for i in range(0, len(rows), part)
    ]
    np.testing.assert_array_equal(np.concatenate([np.empty((0, 7)), *parts]), at_once)


@given(st.lists(_ROW, min_size=1, max_size=25), st.data())
def test_nothing_is_known_of_later_readings(
    rows: list[tuple[str, int, float, float, float]], data: st.DataObject
) -> None:
    inputs, units, times = _arrays(sorted(rows, key=lambda row: row[1]))
    cut = data.draw(st.integers(0, len(rows)))
    before = LastKnown(_SPEC).carry(inputs, units, times)[:cut]
    inputs[cut:] = 99.0
    np.testing.assert_array_equal(LastKnown(_SPEC).carry(inputs, units, times)[:cut], before)


def test_medians_are_of_what_was_read_and_stand_in_where_nothing_is_known() -> None:
    nan = np.nan
    inputs = np.array([[nan, 5, nan, 0], [8, nan, 1, 0], [nan, nan, 3, 0], [4, nan, nan, 0]])
    units, times = np.array([0, 0, 0, 1]), np.array([1, 2, 3, 1])
    carried = LastKnown(_SPEC).carry(inputs, units, times)
    imputation = fit_imputation(_SPEC, carried)
    assert imputation.medians == {"current_a": 6.0, "vibration": 5.0, "humidity": 2.0}
    completed = imputation.complete(carried)
    assert completed[:, :3].tolist() == [[6, 5, 2], [8, 5, 1], [8, 5, 3], [4, 5, 2]]
    assert completed[:, 4:].tolist() == [[1, 0, 1], [0, 1, 0], [1, 1, 0], [0, 1, 1]]


@pytest.mark.parametrize("rows", [0, 1])
def test_few_rows(rows: int) -> None:
    inputs, units = np.full((rows, 4), np.nan), np.zeros(rows, dtype=np.int64)
    assert LastKnown(_SPEC).carry(inputs, units, np.arange(rows)).shape == (rows, 7)
