import numpy as np
import pytest

from presagio.inference.predictor import Prediction
from presagio.lifecycle.gate import GateDecision, GateRules, compare
from presagio.machine.spec import MachineSpec

ROWS = 2000


@pytest.fixture
def inputs(spec: MachineSpec) -> np.ndarray:
    rows = {name: np.zeros(ROWS) for name in spec.input_names}
    rows["type_l"] = (np.arange(ROWS) % 10 < 6).astype(float)
    rows["type_m"] = ((np.arange(ROWS) % 10 >= 6) & (np.arange(ROWS) % 10 < 9)).astype(float)
    return np.column_stack(list(rows.values()))


@pytest.fixture
def target() -> np.ndarray:
    found = np.zeros(ROWS, dtype=bool)
    found[::25] = True
    return found


def _said(label: np.ndarray) -> Prediction:
    return Prediction(label.astype(float), label.astype(float), label)


def _compare(
    spec: MachineSpec, inputs: np.ndarray, target: np.ndarray, new: np.ndarray, old: np.ndarray
) -> GateDecision:
    rules = GateRules()
    return compare(
        spec, inputs, target, ("2", _said(new)), ("1", _said(old)), rules=rules
    )  # fmt: skip


def test_a_better_challenger_passes(
    spec: MachineSpec, inputs: np.ndarray, target: np.ndarray
) -> None:
    old = target.copy()
    old[np.flatnonzero(target)[:10]] = False
    found = _compare(spec, inputs, target, target, old)
    assert found.passed
    assert found.confidence == 1.0
    assert found.challenger is not None
    assert found.champion is not None
    assert (found.challenger.cost, found.champion.cost) == (0.0, 5.0)
    assert "lower in 100%" in str(found.reasons[0])


def test_the_same_answers_are_no_reason_to_change(
    spec: MachineSpec, inputs: np.ndarray, target: np.ndarray
) -> None:
    found = _compare(spec, inputs, target, target, target)
    assert not found.passed
    assert found.confidence == 0.0


def test_luck_is_not_enough(spec: MachineSpec, inputs: np.ndarray, target: np.ndarray) -> None:
    # Nine failures more are found and eight are lost: better, and as easily worse.
    new, old, failures = target.copy(), target.copy(), np.flatnonzero(target)
    old[failures[:9]], new[failures[9:17]] = False, False
    found = _compare(spec, inputs, target, new, old)
    assert not found.passed
    assert found.confidence is not None
    assert 0.5 < found.confidence < 0.9


def test_no_machine_type_may_pay_for_the_others(
    spec: MachineSpec, inputs: np.ndarray, target: np.ndarray
) -> None:
    columns = [spec.input_names.index(name) for name in ("type_l", "type_m")]
    high = ~inputs[:, columns].any(axis=1)
    new, old = target.copy(), target & high
    new[np.flatnonzero(high)[:5]] = True
    found = _compare(spec, inputs, target, new, old)
    assert found.confidence == 1.0
    assert not found.passed
    assert str(found.reasons[0]).startswith("for type H")


def test_rows_of_one_unit_are_drawn_together(
    spec: MachineSpec, inputs: np.ndarray, target: np.ndarray
) -> None:
    """That one unit of three went better is chance, however many rows it has."""
    new, old = target.copy(), target.copy()
    failures = np.flatnonzero(target)
    old[failures[:30]], new[failures[30:50]] = False, False
    units = np.array(["a"] * ROWS)
    units[failures[:30]], units[failures[30:50]] = "b", "c"
    sides = (("2", _said(new)), ("1", _said(old)))
    alone = compare(spec, inputs, target, *sides, rules=GateRules())
    found = compare(spec, inputs, target, *sides, rules=GateRules(), units=units)
    assert alone.passed
    assert not found.passed
    assert found.confidence is not None
    # Of 27 draws of three units, 11 have b more often than two thirds of c's times.
    assert 0.4 < found.confidence < 0.75
    assert "resamples of 2000 rows of 3 units, 90% are needed" in str(found.reasons[0])
