import csv
import io

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from presagio.ingest.checking import Checked, check_rows
from presagio.ingest.decoding import decode_csv
from presagio.machine.spec import MachineSpec, load_spec
from tests.readings import COLUMNS

GOOD = dict(zip(COLUMNS, ["L", "300", "310", "1500", "40", "10"], strict=True))


def _check(spec: MachineSpec, *rows: list[str], header: list[str] | None = None) -> Checked:
    text = io.StringIO()
    csv.writer(text).writerows([header or COLUMNS, *rows])
    return check_rows(decode_csv(text.getvalue().encode(), spec), spec)


def _with(**changes: str) -> list[str]:
    aliases = dict(zip(["kind", "air", "process", "speed", "torque", "wear"], COLUMNS, strict=True))
    return list((GOOD | {aliases[name]: value for name, value in changes.items()}).values())


def test_a_good_row_is_taken(spec: MachineSpec) -> None:
    checked = _check(spec, _with())
    assert checked.rejected == ()
    assert checked.accepted.rows() == [(300.0, 310.0, 1500.0, 40.0, 10.0, True, False)]


@pytest.mark.parametrize("written", ["l", " L ", "L"])
def test_category_in_any_case(spec: MachineSpec, written: str) -> None:
    assert _check(spec, _with(kind=written)).accepted["type_l"].to_list() == [True]


@pytest.mark.parametrize("number", ["40", "40.", "+40.0", "4e1", ".4e2", "0040"])
def test_numbers_as_people_write_them(spec: MachineSpec, number: str) -> None:
    assert _check(spec, _with(torque=number)).accepted["torque_nm"].to_list() == [40.0]


@pytest.mark.parametrize(
    "written",
    ["nan", "NaN", "inf", "-Infinity", "1_0", "\uff14\uff10", "0x28", "40 Nm", "1,5", "--1", "e5"],
)
def test_what_only_looks_like_a_number_is_refused(spec: MachineSpec, written: str) -> None:
    assert _check(spec, _with(torque=written)).reasons == {"not_a_number": 1}


@pytest.mark.parametrize("written", ["-0.1", "150.1", "1e308", "1e999"])
def test_what_no_sensor_can_say_is_refused(spec: MachineSpec, written: str) -> None:
    checked = _check(spec, _with(torque=written))
    assert checked.rejected[0].faults == ("out_of_range: torque_nm outside 0 to 150 Nm",)


def test_a_row_names_all_its_faults(spec: MachineSpec) -> None:
    (row,) = _check(spec, _with(), _with(kind="X", air="", speed="fast", wear="900")).rejected
    assert row.line == 3
    assert [fault.partition(":")[0] for fault in row.faults] == [
        "missing", "not_a_number", "out_of_range", "unknown_category",
    ]  # fmt: skip


@pytest.mark.parametrize("cells", [5, 7])
def test_a_ragged_row_is_refused(spec: MachineSpec, cells: int) -> None:
    (row,) = _check(spec, ([*_with(), "1"])[:cells]).rejected
    assert row.faults == (f"ragged: {cells} cells where the header has 6",)


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
    assert _check(spec, [*_with()[1:], "1", "1"], header=header).reasons == {"contradiction": 1}


def test_what_is_no_boolean_is_refused(spec: MachineSpec) -> None:
    header = [*COLUMNS, "target"]
    checked = _check(spec, [*_with(), "maybe"], [*_with(), ""], header=header)
    assert checked.reasons == {"missing": 1, "not_a_boolean": 1}


def test_unknown_columns_are_left_out(spec: MachineSpec) -> None:
    checked = _check(spec, [*_with(), "night"], header=[*COLUMNS, "shift"])
    assert tuple(checked.accepted.columns) == spec.input_names


def test_every_real_row_is_taken(real_rows: pl.DataFrame) -> None:
    assert len(real_rows) == 8000
    assert int(real_rows["machine_failure"].sum()) == 271


def test_processed_rows_are_understood_again(spec: MachineSpec, real_rows: pl.DataFrame) -> None:
    again = check_rows(decode_csv(real_rows.write_csv().encode(), spec), spec)
    assert_frame_equal(again.accepted, real_rows)


_CELL = st.one_of(
    st.sampled_from(["L", "M", "H", "300", "310", "1500", "40", "10", "", "nan", "1e5", "true"]),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8),
)


@given(st.lists(st.lists(_CELL, min_size=1, max_size=9), max_size=12))
def test_no_row_is_lost_whatever_is_in_it(rows: list[list[str]]) -> None:
    spec = load_spec()
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([COLUMNS, *rows])
    records = decode_csv(text.getvalue().encode(), spec)
    checked = check_rows(records, spec)
    assert len(checked.accepted) + len(checked.rejected) == len(records.rows)
    assert sum(checked.accepted.null_count().row(0)) == 0
    for feature in spec.features:
        assert checked.accepted[feature.name].is_between(*feature.range).all()
