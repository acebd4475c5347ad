"""Workbooks: what Excel stores as a number is one, and hostile ones get a verdict."""

import io
import zipfile

import pytest

from presagio.errors import UnreadableFileError
from presagio.ingest.checking import CheckedFile, Limits, check_file
from presagio.ingest.compression import Caps
from presagio.machine.spec import MachineSpec
from presagio.readings.process.reader_limits import ReaderLimits
from tests.readings import COLUMNS
from tests.workbooks import Cell, Date, Formula, sheet_xml, workbook, workbook_of

GOOD: tuple[Cell, ...] = ("L", 300.1, 310.2, 1500, 40.5, 10)
GENEROUS = Limits(max_bad_share=1.0)


def _check(body: bytes, spec: MachineSpec, limits: Limits = GENEROUS) -> CheckedFile:
    return check_file(body, spec, suffix=".xlsx", limits=limits)


def _refusal(body: bytes, spec: MachineSpec, limits: Limits = GENEROUS) -> UnreadableFileError:
    with pytest.raises(UnreadableFileError) as refused:
        _check(body, spec, limits)
    return refused.value


def _with(**changes: Cell) -> list[Cell]:
    names = dict(zip(["kind", "air", "process", "speed", "torque", "wear"], GOOD, strict=True))
    return list((names | changes).values())


def test_the_first_sheet_is_read_and_noted(spec: MachineSpec) -> None:
    checked = _check(workbook(COLUMNS, GOOD, _with(speed=1.551), Other=[["x"]]), spec)
    assert checked.fault is None
    assert checked.notes == {"encoding": "xlsx", "sheet": "Readings"}
    assert checked.accepted.row(0) == (300.1, 310.2, 1500.0, 40.5, 10.0, True, False)
    # A number that is stored as one needs no evidence.
    assert checked.accepted["rotational_speed_rpm"].to_list() == [1500.0, 1.551]


def test_a_sheet_may_be_named(spec: MachineSpec) -> None:
    body = workbook(["x"], [1], Line=[COLUMNS, GOOD])
    assert len(_check(body, spec, Limits(sheet="Line")).accepted) == 1
    refused = _refusal(body, spec, Limits(sheet="None"))
    assert refused.reason == "missing_sheet"
    assert "Readings, Line" in str(refused)


@pytest.mark.parametrize("value", [0.1 + 0.2, 1e-7, 1e-12, 123.456789012345, 149.99999999999997])
def test_numbers_keep_every_digit(spec: MachineSpec, value: float) -> None:
    checked = _check(workbook(COLUMNS, _with(torque=value), _with(torque="none")), spec)
    assert checked.accepted["torque_nm"].to_list() == [value]


def test_text_stays_as_it_is(spec: MachineSpec) -> None:
    body = workbook(["UDI", *COLUMNS], [7, *GOOD], ["007", *GOOD], ["1.50", *GOOD], [0.1, *GOOD])
    assert _check(body, spec).accepted["udi"].to_list() == ["7", "007", "1.50", "0.1"]


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        (Date(45000.5), "not_a_number"), (True, "not_a_number"), (None, "missing"),
        ("#DIV/0!", "missing"), (Formula("A1+1"), "missing"), ("n/a", "not_a_number"),
        ("40,5", "decimal_mark"), (1e300, "out_of_range"), ("", "missing"),
    ],
)  # fmt: skip
def test_a_cell_that_is_no_number_costs_its_row(spec: MachineSpec, cell: Cell, reason: str) -> None:
    checked = _check(workbook(COLUMNS, GOOD, _with(torque=cell), GOOD), spec)
    assert len(checked.accepted) == 2
    assert checked.tally.reasons == {reason: 1}
    assert checked.rejected["line"].to_list() == [3]


def test_a_number_stored_as_text_is_never_guessed(spec: MachineSpec) -> None:
    checked = _check(workbook(COLUMNS, GOOD, _with(speed="1.551")), spec)
    assert checked.fault is not None
    assert checked.fault.reason == "ambiguous_numbers"
    plain = _check(workbook(COLUMNS, GOOD, _with(speed="1551", torque="40.5")), spec)
    assert (plain.fault, len(plain.accepted)) == (None, 2)


def test_blank_rows_are_no_rows_and_counted(spec: MachineSpec) -> None:
    blank: list[Cell] = [None] * 6
    checked = _check(workbook(COLUMNS, GOOD, blank, blank, _with(torque="x")), spec)
    assert checked.notes["blank_lines"] == 2
    assert (len(checked.accepted), checked.rejected["line"].to_list()) == (1, [5])


def test_names_that_stand_twice_are_not_made_different(spec: MachineSpec) -> None:
    body = workbook([*COLUMNS, "torque_nm"], [*GOOD, 41.0])
    assert _refusal(body, spec).reason == "duplicated_columns"


def test_unknown_columns_are_kept_aside(spec: MachineSpec) -> None:
    checked = _check(workbook([*COLUMNS, "shift", None], [*GOOD, Date(45000), 3]), spec)
    assert checked.accepted["extra"].to_list() == ['{"shift":"2023-03-15 00:00:00","column 8":"3"}']


def test_a_sheet_without_rows_or_cells_is_refused(spec: MachineSpec) -> None:
    checked = _check(workbook(COLUMNS), spec)
    assert checked.fault is not None
    assert checked.fault.reason == "no_rows"
    assert _refusal(workbook(), spec).reason == "empty"


def _bomb() -> bytes:
    out = io.BytesIO(workbook(COLUMNS, GOOD))
    with zipfile.ZipFile(out, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/media/x.bin", bytes(64 << 20))
    return out.getvalue()


def _far() -> bytes:
    sheet = sheet_xml([COLUMNS, GOOD]).replace(
        "</sheetData>", '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData>'
    )
    return workbook_of({"Readings": sheet})


def _shared() -> bytes:
    """Make rows that share one long text."""
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    strings = (
        f'<sst xmlns="{main}" count="1" uniqueCount="1"><si><t>{"x" * 1_000_000}</t></si></sst>'
    )
    cells = "".join(f'<row r="{i}"><c r="G{i}" t="s"><v>0</v></c></row>' for i in range(2, 3000))
    sheet = sheet_xml([[*COLUMNS, "note"]]).replace("</sheetData>", f"{cells}</sheetData>")
    return workbook_of({"Readings": sheet}, sharedStrings=strings)


@pytest.mark.parametrize(
    ("body", "reasons"),
    [
        (b"", {"corrupt"}),
        (b"PK\x03\x04 no more", {"corrupt"}),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 with a password", {"corrupt"}),
        (workbook(COLUMNS, GOOD)[:-200], {"corrupt"}),
        (workbook_of({"Readings": "<worksheet><sheetData><row"}), {"corrupt", "empty"}),
        (_bomb(), {"too_large"}),
        (_far(), {"reader_ended"}),
        (_shared(), {"reader_ended", "too_large"}),
        (workbook([f"c{i}" for i in range(5000)]), {"too_many_columns"}),
        (workbook(["x" * 600]), {"name_too_long"}),
    ],
    ids=["nothing", "no zip", "password", "cut", "no XML", "bomb", "far", "shared", "wide", "long"],
)
def test_a_hostile_workbook_gets_a_verdict(
    spec: MachineSpec, body: bytes, reasons: set[str]
) -> None:
    limits = Limits(reader=ReaderLimits(memory_bytes=256 << 20), caps=Caps(max_ratio=100))
    assert _refusal(body, spec, limits).reason in reasons
    assert len(_check(workbook(COLUMNS, GOOD), spec, limits).accepted) == 1
