import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from presagio.errors import InvalidSpecError
from presagio.machine.spec import MachineSpec, load_spec


@pytest.fixture
def document() -> dict[str, Any]:
    text = (files("presagio.machine") / "specs" / "ai4i2020.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def test_inputs_are_the_contract_of_the_api(spec: MachineSpec) -> None:
    assert spec.input_names == (
        "airtemperature_k",
        "process_temperature_k",
        "rotational_speed_rpm",
        "torque_nm",
        "tool_wear_min",
        "type_l",
        "type_m",
    )


def test_labels_are_no_inputs(spec: MachineSpec) -> None:
    assert spec.label_names == ("machine_failure", "twf", "hdf", "pwf", "osf", "rnf")
    assert not set(spec.label_names) & set(spec.input_names)


def test_example_has_every_input(spec: MachineSpec) -> None:
    assert tuple(spec.example) == spec.input_names
    assert (spec.example["type_l"], spec.example["type_m"]) == (True, False)


def test_category_without_indicator_is_the_remainder(spec: MachineSpec) -> None:
    assert spec.category("type").remainder == "H"


def test_a_plant_with_other_sensors_writes_one_file(tmp_path: Path) -> None:
    path = tmp_path / "pump.toml"
    path.write_text(
        """
        name = "pump"
        title = "Pump"
        target = { name = "failed" }
        [[features]]
        name = "pressure_bar"
        title = "Pressure"
        unit = "bar"
        range = [0.0, 20.0]
        example = 6.0
        """,
        encoding="utf-8",
    )
    assert load_spec(path).input_names == ("pressure_bar",)


def _quantity(of: list[str]) -> dict[str, Any]:
    made = {"name": "q", "title": "", "unit": "", "kind": "product", "of": of}
    return {"quantities": [made]}


def _rule(mode: str, **bound: object) -> dict[str, Any]:
    return {"rules": [{"mode": mode, "bounds": [{"of": "torque_nm", **bound}]}]}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (_quantity(["x", "y"]), "neither feature nor quantity"),
        (_rule("hdf"), "either below or above"),
        (_rule("abc", below=1), "unknown failure modes"),
        (_rule("hdf", below={"L": 1}), "go together"),
        (_rule("hdf", by="type", below={"L": 1}), "a limit for each type"),
        (_rule("hdf", by="age", below={"L": 1}), "is no category"),
        ({"identifiers": [{"name": "torque_nm"}]}, "names must be unique"),
        ({"colour": "red"}, "Extra inputs"),
    ],
)
def test_a_spec_that_contradicts_itself_is_refused(
    document: dict[str, Any], change: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        MachineSpec.model_validate(document | change)


def test_an_example_outside_its_range_is_refused(document: dict[str, Any]) -> None:
    document["features"][0]["example"] = 1000.0
    with pytest.raises(ValueError, match="airtemperature_k: example"):
        MachineSpec.model_validate(document)


def test_two_values_without_indicator_are_refused(document: dict[str, Any]) -> None:
    document["categories"][0]["indicators"] = {"L": "type_l"}
    with pytest.raises(ValueError, match="only one value may lack"):
        MachineSpec.model_validate(document)


def test_an_unknown_spec_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(InvalidSpecError, match="give the name of a spec"):
        load_spec("lathe")
    with pytest.raises(InvalidSpecError, match=r"lathe\.toml cannot be read"):
        load_spec(tmp_path / "lathe.toml")


def test_a_file_that_is_no_toml_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "broken.toml"
    path.write_text("name =", encoding="utf-8")
    with pytest.raises(InvalidSpecError, match="is no TOML"):
        load_spec(path)


def test_all_faults_are_named_in_words(tmp_path: Path) -> None:
    file = tmp_path / "lathe.toml"
    text = 'name = 1\ncolour = "red"\n'
    text += '[[features]]\nname = "x"\nunit = "K"\nrange = [1, 2]\nexample = 3\n'
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidSpecError) as refused:
        load_spec(file)
    lead, *faults = str(refused.value).splitlines()
    assert lead == f"machine spec {file} is not valid:"
    assert "  line 1: name: should be a valid string, got 1" in faults
    assert "  title: is missing" in faults
    assert "  line 2: colour: is no field of a machine spec" in faults
    assert any(fault.startswith("  line 3: features.0: feature x: example 3.0") for fault in faults)
    assert "pydantic" not in str(refused.value)


def test_a_file_that_is_no_text_is_no_spec(tmp_path: Path) -> None:
    file = tmp_path / "lathe.toml"
    file.write_bytes(b"name = \xff")
    with pytest.raises(InvalidSpecError, match="is no TOML"):
        load_spec(file)
