import numpy as np
import polars as pl
import pytest

from presagio.machine.limits import category_values, derive_quantities, failing_modes
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
