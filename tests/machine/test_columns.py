import pytest
from hypothesis import given
from hypothesis import strategies as st

from presagio.machine.columns import match_columns, nearest_header
from presagio.machine.spec import MachineSpec, load_spec

ORIGINAL = [
    "UDI", "Product ID", "Type", "Air temperature [K]", "Process temperature [K]",
    "Rotational speed [rpm]", "Torque [Nm]", "Tool wear [min]", "Machine failure",
    "TWF", "HDF", "PWF", "OSF", "RNF",
]  # fmt: skip
CONTRACT = [
    "airtemperature_k", "process_temperature_k", "rotational_speed_rpm", "torque_nm",
    "tool_wear_min", "type_l", "type_m",
]  # fmt: skip


def test_the_data_sets_own_header_is_understood(spec: MachineSpec) -> None:
    match = match_columns(ORIGINAL, spec)
    assert (match.missing, match.duplicated, match.extras) == ((), (), {})
    assert match.found >= {*spec.feature_names, *spec.label_names, "type", "udi", "product_id"}


def test_the_contracts_header_is_understood(spec: MachineSpec) -> None:
    match = match_columns(CONTRACT, spec)
    assert (match.missing, match.duplicated, match.extras) == ((), (), {})


@given(st.permutations(ORIGINAL), st.data())
def test_order_case_and_spaces_do_not_matter(header: list[str], data: st.DataObject) -> None:
    spec = load_spec()
    written = [
        f" {data.draw(st.sampled_from([name.upper(), name.lower(), name]))}  " for name in header
    ]
    match = match_columns(written, spec)
    plain = match_columns(header, spec)
    assert match.names == plain.names
    assert not match.missing


def test_what_is_missing_is_named(spec: MachineSpec) -> None:
    header = [name for name in ORIGINAL if name not in ("Type", "Torque [Nm]")]
    assert match_columns(header, spec).missing == ("torque_nm", "type")


def test_half_a_category_is_missing_the_other_half(spec: MachineSpec) -> None:
    assert match_columns(CONTRACT[:-1], spec).missing == ("type_m",)


def test_both_styles_at_once_are_a_duplicate(spec: MachineSpec) -> None:
    assert match_columns([*ORIGINAL, "type_l"], spec).duplicated == ("type",)
    assert match_columns([*ORIGINAL, "torque_nm"], spec).duplicated == ("torque_nm",)


def test_columns_that_are_not_known_get_names_of_their_own(spec: MachineSpec) -> None:
    match = match_columns([*CONTRACT, "Shift ", "", "Shift"], spec)
    assert match.extras == {7: "Shift", 8: "column 9", 9: "Shift (10)"}


@pytest.mark.parametrize(
    ("header", "unit"),
    [
        ("Air temperature [°C]", "°C"), ("Air temperature (°F)", "°F"), ("airtemperature_c", "°C"),
        ("AIR  TEMPERATURE ºC", "°C"), ("Air temperature", None), ("Air temperature (K)", None),
        ("Air temperature [kelvin]", None),
    ],
)  # fmt: skip
def test_a_header_may_name_another_unit_or_none(
    spec: MachineSpec, header: str, unit: str | None
) -> None:
    match = match_columns([header, *CONTRACT[1:]], spec)
    assert match.missing == ()
    converted = match.units.get("airtemperature_k")
    assert (converted.symbol if converted else None) == unit


@pytest.mark.parametrize("header", ["Air temperature [rpm]", "Air temperature [bar]"])
def test_a_unit_that_cannot_be_converted_is_a_missing_column(
    spec: MachineSpec, header: str
) -> None:
    match = match_columns([header, *CONTRACT[1:]], spec)
    assert match.missing == ("airtemperature_k",)
    assert match.misfits == {header: "airtemperature_k"}


def test_the_nearest_name_is_found(spec: MachineSpec) -> None:
    assert nearest_header("torque_nm", spec, ["Shift", "Torqe [Nm]"]) == "Torqe [Nm]"
    assert nearest_header("torque_nm", spec, ["Shift"]) is None


def test_no_two_columns_that_are_not_known_get_one_name(spec: MachineSpec) -> None:
    match = match_columns(["A (3)", "A", "A", "A (3)", *CONTRACT], spec)
    assert match.extras == {0: "A (3)", 1: "A", 2: "A (3) (3)", 3: "A (3) (4)"}
