"""Features of series: as by hand, alike in parts of any size, and never of a later reading."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from presagio.errors import DataError, InvalidSpecError
from presagio.inference.conditions import Conditions, read_conditions
from presagio.inference.imputation import Imputation, as_read, fit_imputation
from presagio.inference.one_series import OneSeries
from presagio.inference.series import SeriesFeatures
from presagio.machine.spec import MachineSpec, parse_spec

TEXT = b"""
name = "engines"
title = "Engines"
missing = "median"
[[features]]
name = "a"
[[features]]
name = "b"
missing = "last"
[unit]
name = "unit"
[time]
name = "cycle"
kind = "counter"
[target]
name = "failure"
[windows]
rows = [2, 4]
statistics = ["mean", "sd", "min", "max", "slope"]
first = 3
age = true
"""
_SPEC = parse_spec(TEXT, "engines")
# Errors are counted over windows, and stand in no other of their columns.
_EVENTS = TEXT.replace(b'name = "a"', b'name = "a"\nfrom_events = "errors"')
_EVENTS += b'[label]\nkind = "horizon"\nwithin = 3\n'
_DURATIONS = TEXT.replace(b"rows = [2, 4]", b"rows = [2]\ndurations = [3, 6]")
_DURATIONS = _DURATIONS.replace(b'kind = "counter"', b'kind = "counter"\nstep = 1')
KINDS = {
    "conditions": TEXT.replace(b"age = true", b'age = true\nby_condition = ["a"]'),
    "alone": TEXT.replace(b"first = 3", b'of = ["b"]'),
    "events": _EVENTS,
    "last first": TEXT.replace(b'"mean", "sd"', b'"sd", "mean"').replace(b"[2, 4]", b"[4, 2]"),
    "durations": _DURATIONS,
    "weighted durations": _DURATIONS.replace(b', "sd", "min", "max"', b""),
}
_NUMBER = st.one_of(st.just(np.nan), st.integers(0, 9).map(float))
ROWS = st.lists(st.tuples(st.sampled_from("xy"), st.integers(0, 9), _NUMBER, _NUMBER), max_size=30)
Rows = list[tuple[str, int, float, float]]


def _arrays(rows: Rows) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    inputs = np.array([row[2:] for row in rows], dtype=float).reshape(-1, 2)
    units = np.array([row[0] for row in rows], dtype=object)
    return inputs, units, np.array([row[1] for row in rows], dtype=np.int64)


def _statistics(values: np.ndarray, length: int) -> list[float]:
    window = values[-length:]
    known = ~np.isnan(window)
    if not known.any():
        return [np.nan] * 5
    seen, steps = window[known], np.arange(length - len(window), length)[known]
    whole = np.sum((np.arange(length) - (length - 1) / 2) ** 2)
    slope = np.sum((steps - steps.mean()) * (seen - seen.mean())) / whole
    return [seen.mean(), seen.std(), seen.min(), seen.max(), slope]


def _by_hand(series: np.ndarray) -> list[float]:
    """Return the window columns of the last reading of a series, shape ``(n, 2)``."""
    found = [[_statistics(series[:, f], length) for f in (0, 1)] for length in (2, 4)]
    columns = [found[i][f][s] for i in (0, 1) for s in range(5) for f in (0, 1)]
    with np.errstate(all="ignore"):
        first = [
            np.nan if np.isnan(head).all() else np.nanmean(head)
            for head in (series[:3, 0], series[:3, 1])
        ]
    return [*columns, *(found[0][f][0] - first[f] for f in (0, 1))]


@given(ROWS, st.integers(1, 30))
def test_as_by_hand_and_in_parts_as_at_once(rows: Rows, part: int) -> None:
    rows = sorted(rows, key=lambda row: row[1])
    inputs, units, times = _arrays(rows)
    at_once = SeriesFeatures(_SPEC).expand(inputs, units, times)
    assert at_once.shape == (len(rows), len(_SPEC.model_inputs))
    for i, unit in enumerate(units):
        series = at_once[: i + 1, :2][units[: i + 1] == unit]
        np.testing.assert_allclose(at_once[i, 4:-1], _by_hand(series), atol=1e-9)
    np.testing.assert_array_equal(at_once[:, -1], times)
    np.testing.assert_array_equal(as_read(_SPEC, at_once), inputs)
    features = SeriesFeatures(_SPEC)
    parts = [
        features.expand(inputs[i : i + part], units[i : i + part], times[i : i + part])
        for i in range(0, len(rows), part)
    ]
    found = np.concatenate([np.empty((0, at_once.shape[1])), *parts])
    np.testing.assert_allclose(found, at_once, rtol=0, atol=1e-9)


@given(ROWS, st.integers(1, 30))
def test_in_parts_as_at_once_whatever_the_order(rows: Rows, part: int) -> None:
    inputs, units, times = _arrays(rows)
    at_once = SeriesFeatures(_SPEC).expand(inputs, units, times)
    features = SeriesFeatures(_SPEC)
    parts = [
        features.expand(inputs[i : i + part], units[i : i + part], times[i : i + part])
        for i in range(0, len(rows), part)
    ]
    found = np.concatenate([np.empty((0, at_once.shape[1])), *parts])
    np.testing.assert_allclose(found, at_once, rtol=0, atol=1e-9)


def _growing(rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    """Return the inputs and times of one series."""
    unit = rows[0][0]
    once = {row[1]: row for row in rows if row[0] == unit}
    inputs, _, times = _arrays([once[time] for time in sorted(once)])
    return inputs, times


@given(ROWS.filter(bool), st.sampled_from(["", *KINDS]))
def test_one_series_alone_gives_the_same(rows: Rows, kind: str) -> None:
    text = KINDS.get(kind, TEXT)
    spec = parse_spec(text, "engines")
    conditions = _conditions(spec) if kind == "conditions" else None
    inputs, times = _growing(rows)
    whole = SeriesFeatures(spec, conditions).expand(inputs, np.zeros(len(inputs)), times)
    found = OneSeries(spec, conditions).last(inputs, times)
    np.testing.assert_allclose(found, whole[-1], rtol=0, atol=1e-9)


@given(ROWS.filter(bool))
def test_a_duration_is_so_many_steps_and_nothing_older(rows: Rows) -> None:
    spec = parse_spec(_DURATIONS, "engines")
    assert [length.rows for length in spec.window_lengths] == [2, 3, 6]
    inputs, times = _growing(rows)
    found = SeriesFeatures(spec).expand(inputs, np.zeros(len(inputs)), times)
    named = dict(zip(spec.model_inputs, found.T, strict=True))
    for i, now in enumerate(times):
        for duration in (3, 6):
            within = inputs[: i + 1, 0][now - times[: i + 1] < duration]
            known = within[~np.isnan(within)]
            expected = [known.mean(), known.max()] if len(known) else [np.nan, np.nan]
            made = [named[f"a_{name}_within_{duration}"][i] for name in ("mean", "max")]
            np.testing.assert_allclose(made, expected, atol=1e-9)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ((b"step = 1\n", b""), "2 to 500 steps"),
        ((b"[3, 6]", b"[1, 6]"), "2 to 500 steps"),
        ((b"[3, 6]", b"[3, 1e9]"), "2 to 500 steps"),
        ((b"[3, 6]", b'["1h"]'), "has to be a number"),
        ((b"rows = [2]\ndurations = [3, 6]", b""), "have rows, or durations"),
    ],
)
def test_durations_are_of_steps(change: tuple[bytes, bytes], why: str) -> None:
    text = _DURATIONS.replace(b'"counter"\nstep = 1', b'"counter"\nstep = 1\n')
    assert change[0] in text
    with pytest.raises(InvalidSpecError, match=why):
        parse_spec(text.replace(*change), "engines")


def test_errors_are_counted_over_windows_and_none_is_none() -> None:
    spec = parse_spec(_EVENTS, "engines")
    assert [c.name for c in spec.window_columns if c.feature == "a"] == ["a_count_2", "a_count_4"]
    rows = np.array([[2.0, 1.0], [np.nan, 1.0], [1.0, 1.0], [4.0, 1.0], [np.nan, 1.0]])
    units = np.array(["x"] * 5, dtype=object)
    found = SeriesFeatures(spec).expand(rows, units, np.arange(5))
    named = dict(zip(spec.model_inputs, found.T, strict=True))
    assert named["a"].tolist() == [2, 0, 1, 4, 0]
    assert named["a_count_2"].tolist() == [2, 2, 1, 5, 4]
    assert named["a_count_4"].tolist() == [2, 2, 3, 7, 5]
    # It is no gap: a model never saw one in training, where the log is at hand.
    assert not named["missing_a"].any()
    alone = Imputation(spec, {"a": 9.0, "b": 1.0, "age": 0.0}).complete(rows[1:2])[0]
    completed = dict(zip(spec.model_inputs, alone, strict=True))
    assert (completed["a"], completed["missing_a"], completed["a_count_4"]) == (0, 0, 0)


def test_more_units_than_can_be_remembered_are_refused() -> None:
    features = SeriesFeatures(_SPEC, most_kept=10)
    rows, times = np.ones((3, 2)), np.arange(3)
    features.expand(rows, np.array(["x"] * 3, dtype=object), times)
    with pytest.raises(DataError, match="divide the file by units"):
        features.expand(rows, np.array(["z"] * 3, dtype=object), times)


@given(ROWS, st.data())
def test_nothing_is_known_of_later_readings(rows: Rows, data: st.DataObject) -> None:
    inputs, units, times = _arrays(sorted(rows, key=lambda row: row[1]))
    cut = data.draw(st.integers(0, len(rows)))
    before = SeriesFeatures(_SPEC).expand(inputs, units, times)[:cut]
    later = np.random.default_rng(0).permutation(len(rows) - cut) + cut
    inputs[cut:], units[cut:] = inputs[later] + 50.0, units[later]
    after = SeriesFeatures(_SPEC).expand(inputs, units, times)[:cut]
    np.testing.assert_array_equal(after, before)


def _conditions(spec: MachineSpec) -> Conditions:
    """Return two conditions, told by ``a``: about 0 and about 9, in which ``b`` is 10 apart."""
    return Conditions(
        [0], [spec.input_names.index("b")], np.array([4.5]), np.array([4.5]),
        np.array([[-1.0], [1.0]]), np.array([[0.0], [10.0]]), np.array([[1.0], [2.0]]),
    )  # fmt: skip


def test_windows_by_condition_are_of_what_a_reading_is_beside_others() -> None:
    text = TEXT.replace(b"age = true", b'age = true\nby_condition = ["a"]')
    spec = parse_spec(text, "engines")
    assert spec.windowed_names == ("b",)
    conditions = _conditions(spec)
    rows = np.array([[0.0, 1.0], [9.0, 14.0], [0.0, np.nan], [9.0, 12.0]])
    units, times = np.array(["x"] * 4, dtype=object), np.arange(4)
    found = SeriesFeatures(spec, conditions).expand(rows, units, times)
    named = dict(zip(spec.model_inputs, found.T, strict=True))
    # A gap of b has what it was last, 14, which is beside others under the other condition.
    assert named["b_relative"].tolist() == [1.0, 2.0, 14.0, 1.0]
    assert named["b_max_4"].tolist() == [1.0, 2.0, 14.0, 14.0]
    np.testing.assert_array_equal(as_read(spec, found), rows)
    imputation = Imputation(spec, {"a": 0.0, "b": 3.0, "age": 1.0}, conditions)
    alone = dict(zip(spec.model_inputs, imputation.complete(rows[1:2])[0], strict=True))
    assert (alone["b_relative"], alone["b_mean_4"], alone["b_slope_4"]) == (2.0, 2.0, 0.0)
    nothing = imputation.complete(np.array([[9.0, np.nan]]))[0]
    assert dict(zip(spec.model_inputs, nothing, strict=True))["b_mean_4"] == 0.0
    assert read_conditions(spec, conditions.table()) == _Same(conditions)
    with pytest.raises(ValueError, match="need the conditions"):
        SeriesFeatures(spec)


class _Same:
    """Equal to conditions with the same numbers."""

    def __init__(self, conditions: Conditions) -> None:
        self._conditions = conditions

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Conditions) and other.table() == self._conditions.table()

    def __hash__(self) -> int:
        return 0


@pytest.mark.parametrize(
    "changes",
    [
        {"centres": ()},
        {"scale": (0.0,)},
        {"means": ((0.0,),)},
        {"deviations": ((1.0,), (0.0,))},
        {"middle": (1.0, 2.0)},
        None,
    ],
)
def test_conditions_that_do_not_suit_the_spec_are_refused(
    changes: dict[str, object] | None,
) -> None:
    text = TEXT.replace(b"age = true", b'by_condition = ["a"]')
    spec = parse_spec(text, "engines")
    table = _conditions(spec).table()
    with pytest.raises(ValueError, match="conditions"):
        read_conditions(spec, None if changes is None else table.model_copy(update=changes))
    with pytest.raises(ValueError, match="the machine spec has none"):
        read_conditions(_SPEC, table)


def test_a_reading_by_itself_is_a_series_of_one() -> None:
    rows = np.array([[1.0, 2.0], [3.0, np.nan], [np.nan, 4.0]])
    units = np.array(["x", "x", "y"], dtype=object)
    expanded = SeriesFeatures(_SPEC).expand(rows, units, np.array([1, 2, 7]))
    imputation = fit_imputation(_SPEC, expanded)
    assert imputation.medians == {"a": 2.0, "b": 3.0, "age": 2.0}
    completed = dict(zip(_SPEC.model_inputs, imputation.complete(rows[:1])[0], strict=True))
    assert {completed[f"a_{s}_{n}"] for s in ("mean", "min", "max") for n in (2, 4)} == {1.0}
    assert {completed[f"a_{s}_4"] for s in ("sd", "slope")} == {0.0}
    assert (completed["a_change"], completed["age"], completed["missing_a"]) == (0.0, 2.0, 0.0)
    assert not np.isnan(imputation.complete(expanded)).any()
