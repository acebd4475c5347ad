"""`1.551` may be 1.551 or 1551: the file as a whole decides, or nobody does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from presagio.errors import UnreadableFileError
from presagio.ingest.checking import CheckedFile, Limits, check_file
from presagio.machine.inputs import Feature
from presagio.machine.spec import MachineSpec, load_spec
from tests.ingest.text.test_delimited import _assert_same, _both
from tests.readings import COLUMNS

GENEROUS = Limits(max_bad_share=1.0)
PLAIN = ("L", "300", "310", "1500", "40", "10")


def _file(*rows: tuple[str, ...], delimiter: str = ";") -> bytes:
    return "\n".join(delimiter.join(row) for row in [tuple(COLUMNS), *rows]).encode()


def _row(speed: str, torque: str = "40", air: str = "300") -> tuple[str, ...]:
    return ("L", air, "310", speed, torque, "10")


def _speeds(checked: CheckedFile) -> list[float]:
    return checked.accepted["rotational_speed_rpm"].to_list()


def _refusal(body: bytes, spec: MachineSpec) -> UnreadableFileError:
    try:
        checked = check_file(body, spec, limits=GENEROUS)
    except UnreadableFileError as refused:
        return refused
    assert checked.fault is not None
    return checked.fault


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
@pytest.mark.parametrize("written", ["1.551", "1,551", "+1.551"])
def test_without_evidence_the_file_is_refused_with_both_readings(
    spec: MachineSpec, delimiter: str, written: str
) -> None:
    refused = _refusal(_file(*[_row(written)] * 5, delimiter=delimiter), spec)
    assert refused.reason == "ambiguous_numbers"
    decimal = written.replace(",", ".")
    both = f"rotational_speed_rpm '{written}' may be {decimal} or {decimal.replace('.', '')}"
    assert both in str(refused)


def test_a_comma_between_cells_does_not_settle_what_a_point_is(spec: MachineSpec) -> None:
    assert _refusal(_file(_row("1.551"), delimiter=","), spec).reason == "ambiguous_numbers"


def test_marks_that_disagree_are_no_evidence(spec: MachineSpec) -> None:
    refused = _refusal(_file(_row("1.551"), _row("1,408")), spec)
    assert refused.reason == "ambiguous_numbers"


@pytest.mark.parametrize(
    "evidence",
    [
        "40.5",
        "40.",
        ".5",
        "0.551",
        "4.0e1",
        "40.1234",
        "1,234.5",
        "1 234.5",
        "1,234,567",
        "0040.123",
    ],
)
def test_any_number_of_any_column_is_evidence(spec: MachineSpec, evidence: str) -> None:
    checked = check_file(_file(_row("1.551"), _row("1500", evidence)), spec, limits=GENEROUS)
    assert 1.551 in _speeds(checked)
    assert checked.notes["decimal_mark"] == "."


@pytest.mark.parametrize("evidence", ["40,5", "1.234,5", "1.234.567", "1'234,5"])
def test_evidence_for_the_other_mark_rejects_the_row(spec: MachineSpec, evidence: str) -> None:
    checked = check_file(_file(_row("1.551"), _row("1500", evidence)), spec, limits=GENEROUS)
    assert 1.551 not in _speeds(checked)
    assert checked.tally.reasons["thousands_separator"] >= 1
    assert checked.notes["decimal_mark"] == ","


def test_evidence_may_come_late(spec: MachineSpec) -> None:
    early = [_row("1.551")] * 40_000
    taken = check_file(_file(*early, _row("1500", "40.5")), spec)
    assert _speeds(taken)[:2] == [1.551, 1.551]
    left = check_file(_file(*early, _row("1500", "40,5")), spec, limits=GENEROUS)
    assert _speeds(left) == [1500.0]


def test_ranges_are_evidence_where_no_form_is(spec: MachineSpec) -> None:
    # 40.123 Nm is plausible, 40123 Nm is not.
    taken = check_file(_file(_row("1.551", "40.123")), spec)
    assert _speeds(taken) == [1.551]


def _narrow(feature: Feature) -> Feature:
    if feature.name != "torque_nm":
        return feature
    return feature.model_copy(update={"range": (1000.0, 5000.0), "example": 1500.0})


def test_ranges_can_tell_that_a_mark_stands_between_thousands(spec: MachineSpec) -> None:
    other = spec.model_copy(update={"features": tuple(map(_narrow, spec.features))})
    checked = check_file(_file(_row("1.551", "1.234")), other, limits=GENEROUS)
    assert len(checked.accepted) == 0
    assert checked.tally.reasons == {"thousands_separator": 2}


def test_one_outlier_in_ten_decides_nothing(spec: MachineSpec) -> None:
    other = spec.model_copy(update={"features": tuple(map(_narrow, spec.features))})
    rows = [_row("1500", "1.234")] * 20 + [_row("1.551", "1500")]
    few, many = [_row("1500", "1,234")] * 2, [_row("1500", "1,234")] * 3
    assert check_file(_file(*rows, *few), other, limits=GENEROUS).notes["decimal_mark"] == ","
    assert _refusal(_file(*rows, *many), other).reason == "ambiguous_numbers"


@pytest.mark.parametrize("first", ["40.5", "40,5"])
def test_a_file_with_both_marks_takes_no_number_that_is_left_open(
    spec: MachineSpec, first: str
) -> None:
    second = first.translate(str.maketrans(".,", ",."))
    rows = [_row("1500", first)] * 30 + [_row("1500", second)]
    assert len(check_file(_file(*rows), spec).accepted) == 30
    open_one = _row("1.551" if "." in first else "1,551")
    refused = _refusal(_file(*rows, open_one), spec)
    assert refused.reason == "ambiguous_numbers"
    assert "with '.'" in str(refused)
    assert "with ','" in str(refused)
    # A row that tells how it is written leaves nothing open.
    backed = _row("1.551" if "." in first else "1,551", first)
    assert len(check_file(_file(*rows, backed), spec).accepted) == 31


def test_numbers_without_a_mark_need_no_evidence(spec: MachineSpec) -> None:
    assert _speeds(check_file(_file(_row("1551")), spec)) == [1551.0]


def test_only_readings_within_the_range_are_ambiguous(spec: MachineSpec) -> None:
    # 300.123 K is plausible, 300123 K is not: nothing is open.
    assert len(check_file(_file(_row("1500", air="300.123")), spec).accepted) == 1


_NUMBER = st.one_of(
    st.sampled_from(
        ["1.551", "1,551", "40.5", "40,5", "1500", "0,5", "1.234,5", "1,234.5", "2.000"]
    ),
    st.from_regex(r"[0-9]{1,4}([.,][0-9]{0,3})?", fullmatch=True),
)


@given(
    st.lists(st.lists(_NUMBER, min_size=5, max_size=5), min_size=1, max_size=6),
    st.sampled_from([";", "\t", ","]), st.booleans(), st.sampled_from([20, 60, 1 << 20]),
)  # fmt: skip
def test_both_ways_and_all_chunks_read_the_same_numbers(
    rows: list[list[str]], delimiter: str, quoted: bool, chunk_bytes: int
) -> None:
    spec = load_spec()
    mark = '"' if quoted else ""
    lines = [list(COLUMNS), *(["L", *row] for row in rows)]
    body = "\n".join(delimiter.join(f"{mark}{c}{mark}" for c in line) for line in lines).encode()
    slow = _both(body, spec, fast=False, chunk_bytes=1 << 20)
    _assert_same(_both(body, spec, fast=True, chunk_bytes=chunk_bytes), slow)


@given(st.lists(st.integers(1000, 5000), min_size=1, max_size=6), st.data())
def test_a_number_is_never_taken_for_a_thousandth_of_itself(
    speeds: list[int], data: st.DataObject
) -> None:
    """Whoever wrote a separator of thousands never finds a thousandth of the number."""
    spec = load_spec()
    separator = data.draw(st.sampled_from([".", ","]))
    decimal = "," if separator == "." else "."
    others = st.sampled_from(["40", f"40{decimal}5", "7", f"12{decimal}25"])
    rows = [_row(f"{speed:,}".replace(",", separator), data.draw(others)) for speed in speeds]
    body = _file(*rows)
    try:
        taken = _speeds(check_file(body, spec, limits=GENEROUS))
    except UnreadableFileError:
        taken = []
    assert taken == []
