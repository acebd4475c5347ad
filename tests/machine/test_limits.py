import numpy as np
import polars as pl
import pytest

from presagio.machine.failure_rules import Bound
from presagio.machine.limits import (
    category_values,
    derive_quantities,
    distances_of,
    failing_modes,
    rows_by_category,
    signed_distances,
)
from presagio.machine.spec import MachineSpec


def _inputs(spec: MachineSpec, **values: float) -> dict[str, np.ndarray]:
    return {
        name: np.array([float(values.get(name, value))]) for name, value in spec.example.items()
    }


def test_quantities_of_the_example(spec: MachineSpec) -> None:
    derived = derive_quantities(spec, _inputs(spec))
    assert derived["temperature_difference"] == pytest.approx(8.1)
    assert derived["power"] == pytest.approx(63 * 1310 * 2 * np.pi / 60)
    assert derived["strain"] == pytest.approx(210 * 63)


@pytest.mark.parametrize(
    ("type_l", "type_m", "kind"), [(1.0, 0.0, "L"), (0.0, 1.0, "M"), (0.0, 0.0, "H")]
)
def test_category_is_recovered(spec: MachineSpec, type_l: float, type_m: float, kind: str) -> None:
    inputs = _inputs(spec, type_l=type_l, type_m=type_m)
    assert category_values(spec.category("type"), inputs).tolist() == [kind]


@pytest.mark.parametrize(
    ("kind", "strain", "fails"),
    [("L", 11_000, False), ("L", 11_001, True), ("M", 11_001, False), ("M", 12_001, True),
     ("H", 12_001, False), ("H", 13_001, True)],
)  # fmt: skip
def test_overstrain_depends_on_the_type(
    spec: MachineSpec, kind: str, strain: float, fails: bool
) -> None:
    inputs = _inputs(
        spec, type_l=kind == "L", type_m=kind == "M", tool_wear_min=200.0, torque_nm=strain / 200.0
    )
    assert failing_modes(spec, inputs)["osf"].tolist() == [fails]


@pytest.mark.parametrize("mode", ["hdf", "pwf", "osf"])
def test_limits_explain_every_real_failure(
    spec: MachineSpec, real_rows: pl.DataFrame, mode: str
) -> None:
    inputs = {name: real_rows[name].cast(pl.Float64).to_numpy() for name in spec.input_names}
    assert (failing_modes(spec, inputs)[mode] == real_rows[mode].to_numpy()).all()


def test_distances_have_the_limits_units(spec: MachineSpec) -> None:
    assert {d.name: d.unit for d in distances_of(spec)} == {
        "hdf_temperature_difference_below": "K",
        "hdf_rotational_speed_rpm_below": "rpm",
        "pwf_power_below": "W",
        "pwf_power_above": "W",
        "osf_strain_above": "minNm",
        "twf_tool_wear_min_above": "min",
    }


def test_distances_are_negative_beyond_the_limit(spec: MachineSpec) -> None:
    found = signed_distances(spec, _inputs(spec))
    # The example: 8.1 K, 1,310 rpm, 63 Nm, 210 min, type L.
    assert found["hdf_temperature_difference_below"] == pytest.approx(-0.5)
    assert found["hdf_rotational_speed_rpm_below"] == pytest.approx(-70)
    assert found["pwf_power_below"] == pytest.approx(8642.5 - 3500, abs=0.1)
    assert found["pwf_power_above"] == pytest.approx(9000 - 8642.5, abs=0.1)
    assert found["osf_strain_above"] == pytest.approx(11_000 - 210 * 63)
    assert found["twf_tool_wear_min_above"] == pytest.approx(-10)


def test_a_limit_that_is_not_certain_decides_nothing(spec: MachineSpec) -> None:
    assert "twf" not in failing_modes(spec, _inputs(spec))


def test_a_spec_without_limits_has_no_distances(spec: MachineSpec) -> None:
    bare = spec.model_copy(update={"rules": ()})
    assert distances_of(bare) == ()
    assert signed_distances(bare, _inputs(spec)) == {}


def test_two_limits_on_one_side_keep_names_of_their_own(spec: MachineSpec) -> None:
    rule = spec.rules[1]
    other = rule.model_copy(update={"bounds": (Bound(of="power", below=1000.0),)})
    names = [d.name for d in distances_of(spec.model_copy(update={"rules": (rule, other)}))]
    assert names == ["pwf_power_below", "pwf_power_below_2"]


def test_rows_are_taken_apart_by_category(spec: MachineSpec) -> None:
    inputs = {name: np.zeros(100) for name in spec.indicator_names}
    inputs["type_l"] = (np.arange(100) < 60).astype(float)
    found = rows_by_category(spec, inputs)
    assert {name: int(rows.sum()) for name, rows in found.items()} == {"type L": 60, "type H": 40}
