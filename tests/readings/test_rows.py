import csv
import io

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from presagio.ingest.checking import CheckedFile, check_file
from presagio.machine.spec import MachineSpec
from tests.readings import COLUMNS

GOOD = dict(zip(COLUMNS, ["L", "300", "310", "1500", "40", "10"], strict=True))


def _check(spec: MachineSpec, *rows: list[str], header: list[str] | None = None) -> CheckedFile:
    text = io.StringIO()
    csv.writer(text).writerows([header or COLUMNS, *rows])
    return check_file(text.getvalue().encode(), spec)


def _with(**changes: str) -> list[str]:
    aliases = dict(zip(["kind", "air", "process", "speed", "torque", "wear"], COLUMNS, strict=True))
    return list((GOOD | {aliases[name]: value for name, value in changes.items()}).values())


def _faults(checked: CheckedFile) -> list[tuple[str, str]]:
    return [
        (fault["column"], fault["reason"])
        for row in checked.rejected["faults"].to_list()
        for fault in row
    ]


def test_a_good_row_is_taken(spec: MachineSpec) -> None:
    checked = _check(spec, _with())
    assert len(checked.rejected) == 0
    assert checked.accepted.rows() == [(300.0, 310.0, 1500.0, 40.0, 10.0, True, False)]


@pytest.mark.parametrize("written", ["l", " L ", "L"])
def test_category_in_any_case(spec: MachineSpec, written: str) -> None:
    assert _check(spec, _with(kind=written)).accepted["type_l"].to_list() == [True]


@pytest.mark.parametrize("number", ["40", "40.", "+40.0", "4e1", ".4e2", "0040"])
def test_numbers_as_people_write_them(spec: MachineSpec, number: str) -> None:
    assert _check(spec, _with(torque=number)).accepted["torque_nm"].to_list() == [40.0]


@pytest.mark.parametrize(
    "written",
    ["nan", "NaN", "inf", "-Infinity", "1_0", "\uff14\uff10", "0x28", "40 Nm", "--1", "e5", "."],
)
def test_what_only_looks_like_a_number_is_refused(spec: MachineSpec, written: str) -> None:
    assert _faults(_check(spec, _with(torque=written))) == [("torque_nm", "not_a_number")]


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("1,551", "thousands_separator"), ("1.551,0", "thousands_separator"),
        ("1 551", "thousands_separator"), ("1'551", "thousands_separator"),
        ("1\u00a0551", "thousands_separator"), ("1,5", "decimal_mark"),
    ],
)  # fmt: skip
def test_separators_are_not_guessed(spec: MachineSpec, written: str, reason: str) -> None:
    checked = _check(spec, _with(speed=written))
    assert _faults(checked) == [("rotational_speed_rpm", reason)]
    assert "allowed: a number, 0 to 5000 rpm" in checked.tally.examples[0]


@pytest.mark.parametrize("written", ["-0.1", "150.1", "1e308", "1e999"])
def test_what_no_sensor_can_say_is_refused(spec: MachineSpec, written: str) -> None:
    checked = _check(spec, _with(torque=written))
    (row,) = checked.rejected.to_dicts()
    assert row["faults"] == [
        {
            "column": "torque_nm",
            "reason": "out_of_range",
            "message": f"torque_nm: got {written}, allowed: a number, 0 to 150 Nm",
        }
    ]


def test_a_row_names_all_its_faults_and_keeps_its_text(spec: MachineSpec) -> None:
    checked = _check(spec, _with(), _with(kind="X", air="", speed="fast", wear="900"))
    assert checked.rejected["line"].to_list() == [3]
    assert checked.rejected["raw"].to_list() == ["X,,310,fast,40,900"]
    assert _faults(checked) == [
        ("airtemperature_k", "missing"), ("rotational_speed_rpm", "not_a_number"),
        ("tool_wear_min", "out_of_range"), ("type", "unknown_category"),
    ]  # fmt: skip


@pytest.mark.parametrize("cells", [5, 7])
def test_a_ragged_row_is_refused(spec: MachineSpec, cells: int) -> None:
    checked = _check(spec, ([*_with(), "1"])[:cells])
    assert _faults(checked) == [("", "ragged")]
    assert f"{cells} cells where the header has 6" in checked.tally.examples[0]


@pytest.mark.parametrize(
    ("written", "value"),
    [("True", True), ("1", True), ("yes", True), ("false", False), ("0", False)],
)
def test_booleans_as_people_write_them(spec: MachineSpec, written: str, value: bool) -> None:
    header = [*COLUMNS[1:], "type_l", "type_m", "Machine failure"]
    checked = _check(spec, [*_with()[1:], written, "no", written], header=header)
    assert checked.accepted["type_l"].to_list() == [value]
    assert checked.accepted["machine_failure"].to_list() == [value]


def test_a_machine_of_two_types_is_a_contradiction(spec: MachineSpec) -> None:
    header = [*COLUMNS[1:], "type_l", "type_m"]
    checked = _check(spec, [*_with()[1:], "1", "1"], header=header)
    assert _faults(checked) == [("type", "contradiction")]


def test_what_is_no_boolean_is_refused(spec: MachineSpec) -> None:
    header = [*COLUMNS, "target"]
    checked = _check(spec, [*_with(), "maybe"], [*_with(), ""], header=header)
    assert checked.tally.reasons == {"missing": 1, "not_a_boolean": 1}


def test_columns_that_are_not_known_are_kept_aside(spec: MachineSpec) -> None:
    checked = _check(spec, [*_with(), "night"], header=[*COLUMNS, "shift"])
    assert checked.accepted["extra"].to_list() == ['{"shift":"night"}']
    assert checked.warnings == ["columns that the machine spec does not know are kept aside: shift"]


def test_every_real_row_is_taken(real_rows: pl.DataFrame) -> None:
    assert len(real_rows) == 8000
    assert int(real_rows["machine_failure"].sum()) == 271


def test_processed_rows_are_understood_again(spec: MachineSpec, real_rows: pl.DataFrame) -> None:
    again = check_file(real_rows.write_csv().encode(), spec)
    assert_frame_equal(again.accepted, real_rows)
