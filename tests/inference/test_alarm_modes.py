import numpy as np
import pytest
from numpy.typing import NDArray

from presagio.inference.alarm_modes import modes_of, name_modes
from presagio.inference.diagnosis import explain
from presagio.inference.predictor import Predictor, fallback_folder, load_predictor
from presagio.machine.limits import failing_modes
from presagio.machine.simulation import simulate
from presagio.machine.spec import MachineSpec


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return load_predictor(fallback_folder())


def _rows(spec: MachineSpec, **changes: float) -> NDArray[np.float64]:
    example: dict[str, float] = {name: float(value) for name, value in spec.example.items()}
    return np.array([[(example | changes)[name] for name in spec.input_names]])


def test_the_detector_with_the_highest_odds_names_its_mode(spec: MachineSpec) -> None:
    rows = np.repeat(_rows(spec), 2, axis=0)
    odds = {"hdf": np.array([-1.0, 3.0]), "pwf": np.array([2.0, -4.0])}
    assert name_modes(spec, rows, odds) == ["pwf", "hdf"]


def test_one_detector_for_a_mode_names_it(spec: MachineSpec) -> None:
    assert name_modes(spec, _rows(spec), {"osf": np.array([-9.0])}) == ["osf"]


@pytest.mark.parametrize(
    ("changes", "mode"),
    [
        ({"torque_nm": 75.0, "rotational_speed_rpm": 1500.0, "tool_wear_min": 10.0}, "pwf"),
        ({"rotational_speed_rpm": 1300.0, "process_temperature_k": 303.0,
          "airtemperature_k": 302.0, "tool_wear_min": 10.0}, "hdf"),
        # Where tools may wear out, which no limit says for certain.
        ({"tool_wear_min": 215.0, "torque_nm": 35.0, "rotational_speed_rpm": 1500.0}, "twf"),
        ({"tool_wear_min": 199.0, "torque_nm": 35.0, "rotational_speed_rpm": 1500.0}, None),
        # Far beyond where tools may wear out, and a little beyond a limit that is certain.
        ({"tool_wear_min": 250.0, "torque_nm": 44.5, "rotational_speed_rpm": 1500.0}, "osf"),
    ],
)  # fmt: skip
def test_where_no_detector_names_a_mode_the_limits_do(
    spec: MachineSpec, changes: dict[str, float], mode: str | None
) -> None:
    assert name_modes(spec, _rows(spec, **changes), {"machine_failure": np.zeros(1)}) == [mode]


def test_a_mode_whose_limits_are_broken_for_certain_is_named(spec: MachineSpec) -> None:
    frame = next(iter(simulate(spec, 10_000, seed=2)))
    rows = frame.select(spec.input_names).to_numpy().astype(float)
    broken = failing_modes(spec, dict(zip(spec.input_names, rows.T, strict=True)))
    named = np.array(name_modes(spec, rows, {}))
    some = np.any(list(broken.values()), axis=0)
    assert some.sum() > 100
    assert np.any([broken[mode] & (named == mode) for mode in broken], axis=0)[some].all()


def test_without_detectors_and_limits_there_is_no_name(spec: MachineSpec) -> None:
    bare = spec.model_copy(update={"rules": ()})
    assert name_modes(bare, np.repeat(_rows(spec), 3, axis=0), {}) == [None] * 3
    assert name_modes(spec, np.empty((0, len(spec.input_names))), {}) == []


def test_a_row_is_named_alike_by_itself_and_among_others(
    predictor: Predictor, spec: MachineSpec
) -> None:
    rows = next(iter(simulate(spec, 500, seed=4))).select(spec.input_names).to_numpy().astype(float)
    assert None not in modes_of(predictor, rows)
    alone = [explain(predictor, row, alarm=False).mode for row in rows[:20]]
    assert alone == modes_of(predictor, rows)[:20]
    assert name_modes(spec, rows, {})[:20] == [name_modes(spec, r[None], {})[0] for r in rows[:20]]
