"""Hostile files, each with the exact verdict and counts."""

import csv
import gzip
import io
import re
import sys
from dataclasses import dataclass
from typing import Any

import polars as pl
import pytest

from presagio.errors import UnreadableFileError
from presagio.ingest.checking import Limits, check_file
from presagio.ingest.compression import Caps
from presagio.machine.spec import MachineSpec
from tests.readings import COLUMNS, HEADER

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

ROW = b"L,300,310,1500,40,10"
BAD = b"L,300,310,fast,40,10"
GENEROUS = Limits(max_bad_share=1.0)


def _lines(*lines: bytes, end: bytes = b"\n") -> bytes:
    return end.join([HEADER, *lines]) + end


def _spanish(*rows: str, header: str | None = None, delimiter: str = ";") -> str:
    names = header or delimiter.join(COLUMNS)
    return "\r\n".join([names, *rows]) + "\r\n"


@dataclass(frozen=True)
class Case:
    """A file, and what has to be said of it."""

    body: bytes
    rows: int = 1
    reasons: tuple[str, ...] = ()
    suffix: str = ".csv"


TAKEN = {
    "utf-8": Case(_lines(ROW)),
    "utf-8 with mark": Case(b"\xef\xbb\xbf" + _lines(ROW)),
    "utf-16 little endian": Case(_lines(ROW).decode().encode("utf-16-le").join([b"\xff\xfe", b""])),
    "utf-16 big endian": Case(b"\xfe\xff" + _lines(ROW).decode().encode("utf-16-be")),
    "windows-1252": Case("Type,Air temperature (°C),Process temperature [K],Rotational speed [rpm],"
                         "Torque [Nm],Tool wear [min]\nL,25,310,1500,40,10\n".encode("cp1252")),
    "semicolons": Case(_lines(ROW).replace(b",", b";")),
    "tabs": Case(_lines(ROW).replace(b",", b"\t")),
    "bars": Case(_lines(ROW).replace(b",", b"|")),
    "spanish excel": Case(_spanish("L;298,1;308,6;1551;42,8;0").encode("utf-8-sig")),
    "spanish excel in cp1252": Case(
        _spanish("L;25,1;308,6;1551;42,8;0;mañana", header="Type;Air temperature [°C];"
                 "Process temperature [K];Rotational speed [rpm];Torque [N·m];Tool wear [min];turno"
                 ).encode("cp1252")),
    "decimal comma and tabs": Case(
        _spanish("L\t298,1\t308,6\t1551\t42,8\t0", delimiter="\t").encode()),
    "excel's hint of the delimiter": Case(
        b"sep=;\r\n" + _spanish("L;298,1;308,6;1551;42,8;0").encode()),
    "quoted cells": Case(_lines(b'"L","300","310","1500","40","10"')),
    "quoted decimal commas": Case(_spanish('"L";"298,1";"308,6";"1551";"42,8";"0"').encode()),
    "a line break within a cell": Case(
        HEADER + b',note\nL,300,310,1500,40,10,"first\r\nsecond, with ""quotes"""\n'),
    "crlf": Case(_lines(ROW, end=b"\r\n")),
    "old mac line ends": Case(_lines(ROW, end=b"\r")),
    "blank lines": Case(b"\n\n" + _lines(ROW, b"", b"  ", b"", b"")),
    "no line end at the end": Case(_lines(ROW).rstrip()),
    "spaces and case in header": Case(_lines(ROW).replace(b"Torque [Nm]", b"  TORQUE   [nm] ")),
    "another order": Case(b"Tool wear [min],Torque [Nm],Rotational speed [rpm],"
                          b"Process temperature [K],Air temperature [K],Type\n"
                          b"10,40,1500,310,300,L\n"),
    "gzip": Case(gzip.compress(_lines(ROW)), suffix=".csv.gz"),
    "gzip in several members": Case(gzip.compress(HEADER + b"\n") + gzip.compress(ROW + b"\n"),
                                    suffix=".csv.gz"),
    "zstandard": Case(zstd.compress(_lines(ROW)), suffix=".csv.zst"),
    "a formula in a column that is kept aside": Case(
        HEADER + b",note\nL,300,310,1500,40,10,=cmd|' /C calc'!A0\n"),
}  # fmt: skip


@pytest.mark.parametrize("name", TAKEN)
def test_what_plants_export_is_taken(spec: MachineSpec, name: str) -> None:
    case = TAKEN[name]
    checked = check_file(case.body, spec, suffix=case.suffix)
    assert checked.rejected.to_dicts() == []
    assert (checked.tally.rows, len(checked.accepted), checked.fault) == (
        case.rows,
        case.rows,
        None,
    )
    row = checked.accepted.to_dicts()[0]
    assert 290 < row["airtemperature_k"] <= 300
    assert row["type_l"] is True


REFUSED_ROWS = {
    "ragged": (b"L,300,310", ("ragged",)),
    "too many cells": (ROW + b",1", ("ragged",)),
    "nothing in the cells": (b",,,,,", ("missing",) * 6),
    "nan": (b"L,nan,310,1500,40,10", ("not_a_number",)),
    "underscore": (b"L,3_00,310,1500,40,10", ("not_a_number",)),
    "other digits": ("L,٣٠٠,310,1500,40,10".encode(), ("not_a_number",)),
    "thousands": (b'L,300,310,"1,500",40,10', ("thousands_separator",)),
    "out of range": (b"L,300,310,1500,40,501", ("out_of_range",)),
    "unknown category": (b"Q,300,310,1500,40,10", ("unknown_category",)),
    "text after a quote": (b'"L"x,300,310,1500,40,10', ("malformed_quotes",)),
    "several faults": (b"Q,,abc,1500,40,501",
                       ("missing", "not_a_number", "out_of_range", "unknown_category")),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED_ROWS)
def test_a_bad_row_names_all_its_faults_and_keeps_its_text(spec: MachineSpec, name: str) -> None:
    raw, reasons = REFUSED_ROWS[name]
    checked = check_file(_lines(ROW, raw, ROW), spec, limits=GENEROUS)
    assert len(checked.accepted) == 2
    (row,) = checked.rejected.to_dicts()
    assert row["line"] == 3
    assert row["raw"] == raw.decode()
    assert tuple(fault["reason"] for fault in row["faults"]) == reasons
    assert all(fault["message"] for fault in row["faults"])


def test_an_unclosed_quote_costs_one_line(spec: MachineSpec) -> None:
    checked = check_file(_lines(ROW, b'"L,300,310,1500,40,10', *[ROW] * 200), spec)
    assert len(checked.accepted) == 201
    assert checked.tally.reasons == {"unclosed_quote": 1}
    assert checked.rejected["line"].to_list() == [3]


def test_two_unclosed_quotes_cost_two_lines(spec: MachineSpec) -> None:
    stray = b'L,300,310,1500,40,"10'
    checked = check_file(_lines(stray, ROW, ROW, stray, *[ROW] * 20), spec)
    assert checked.tally.reasons == {"unclosed_quote": 2}
    assert checked.rejected["line"].to_list() == [2, 5]


REFUSED_FILES = {
    "empty": (b"", ".csv", "empty", "no header"),
    "a mark and nothing else": (b"\xef\xbb\xbf", ".csv", "empty", "no header"),
    "blank lines only": (b"\n\r\n  \n", ".csv", "empty", "no header"),
    "a picture": (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", ".csv", "encoding", "no text file"),
    "utf-16 without a mark": (_lines(ROW).decode().encode("utf-16-le"), ".csv",
                              "encoding", "UTF-16"),
    "half a character": (b"\xff\xfe\x00", ".csv", "encoding", "utf-16"),
    "no encoding at all": (HEADER + b"\n\x81\x8d", ".csv", "encoding", "UTF-8"),
    "missing column": (_lines(ROW).replace(b"Torque [Nm]", b"Torqe [Nm]"), ".csv",
                       "missing_columns", "the file has 'Torqe [Nm]'"),
    "no header": (ROW + b"\n" + ROW + b"\n", ".csv", "missing_columns", "Air temperature [K]"),
    "a unit that cannot be converted": (_lines(ROW).replace(b"[Nm]", b"[bar]"), ".csv",
                                        "missing_columns", "cannot be turned into Nm"),
    "duplicated column": (HEADER + b",torque_nm\n" + ROW + b",40\n", ".csv",
                          "duplicated_columns", "'Torque [Nm]', 'torque_nm'"),
    "two words for one category": (HEADER + b",type_l,type_m\n" + ROW + b",1,0\n", ".csv",
                                   "duplicated_columns", "type"),
    "broken gzip": (gzip.compress(_lines(*[ROW] * 1000))[:-20], ".csv.gz", "corrupt", "again"),
    "no gzip at all": (_lines(ROW), ".csv.gz", "corrupt", "send it again"),
    "broken zstandard": (zstd.compress(_lines(*[ROW] * 1000))[:-5], ".csv.zst",
                         "corrupt", "again"),
    "no parquet at all": (_lines(ROW), ".parquet", "corrupt", "Parquet"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED_FILES)
def test_a_file_that_is_refused_says_why(spec: MachineSpec, name: str) -> None:
    body, suffix, reason, said = REFUSED_FILES[name]
    with pytest.raises(UnreadableFileError, match=re.escape(said)) as refused:
        check_file(body, spec, suffix=suffix)
    assert refused.value.reason == reason


@pytest.mark.parametrize("suffix", [".csv.gz", ".csv.zst"])
def test_a_bomb_is_not_unpacked(spec: MachineSpec, suffix: str) -> None:
    text = _lines(ROW) + b"\n" * (64 << 20)
    packed = gzip.compress(text) if suffix == ".csv.gz" else zstd.compress(text)
    with pytest.raises(UnreadableFileError, match="unpacks to more than") as refused:
        check_file(packed, spec, suffix=suffix)
    assert refused.value.reason == "too_large"


def test_a_cap_on_size_holds_whatever_the_ratio(spec: MachineSpec) -> None:
    limits = Limits(caps=Caps(max_bytes=1000, max_ratio=1e9))
    with pytest.raises(UnreadableFileError, match="at most 1,000"):
        check_file(gzip.compress(_lines(*[ROW] * 100)), spec, suffix=".csv.gz", limits=limits)


def test_a_parquet_bomb_is_not_unpacked(spec: MachineSpec) -> None:
    body = io.BytesIO()
    pl.select(pl.repeat(1.0, 1_000_000).alias("torque_nm")).write_parquet(body)
    limits = Limits(caps=Caps(max_bytes=1_000_000))
    with pytest.raises(UnreadableFileError, match="PRESAGIO_INTAKE_MAX_BYTES"):
        check_file(body.getvalue(), spec, suffix=".parquet", limits=limits)


def test_parquet_goes_through_the_same_checks(spec: MachineSpec) -> None:
    body = io.BytesIO()
    pl.DataFrame(
        {
            "Type": ["L", "M", "Q"], "Air temperature [°C]": [25.3, float("nan"), 20.0],
            "process_temperature_k": [308, 309, 310], "Rotational speed": [1500.0, None, 1400.0],
            "torque_nm": [40.5, 41.0, 42.0], "tool_wear_min": [1, 2, 3], "shift": [1, 2, 3],
            "machine_failure": [True, False, None],
        }
    ).write_parquet(body)  # fmt: skip
    checked = check_file(body.getvalue(), spec, suffix=".parquet", limits=GENEROUS)
    assert checked.accepted.to_dicts() == [
        {
            "airtemperature_k": 298.45, "process_temperature_k": 308.0,
            "rotational_speed_rpm": 1500.0, "torque_nm": 40.5, "tool_wear_min": 1.0,
            "type_l": True, "type_m": False, "machine_failure": True, "extra": '{"shift":"1"}',
        }
    ]  # fmt: skip
    assert checked.rejected["line"].to_list() == [2, 3]
    assert checked.tally.reasons == {"not_a_number": 1, "missing": 2, "unknown_category": 1}


def test_what_is_no_table_in_parquet_is_refused(spec: MachineSpec) -> None:
    body = io.BytesIO()
    frame = {name: [1.0] for name in spec.input_names} | {"torque_nm": [[1.0]]}
    pl.DataFrame(frame).write_parquet(body)
    with pytest.raises(UnreadableFileError, match="'torque_nm' is of type list") as refused:
        check_file(body.getvalue(), spec, suffix=".parquet")
    assert refused.value.reason == "column_type"


def _celsius(header: str) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([COLUMNS[0], header, *COLUMNS[2:]])
    writer.writerows([["L", 20 + i / 10, 310, 1500, 40, 10] for i in range(10)])
    return text.getvalue().encode()


@pytest.mark.parametrize("header", ["Air temperature", "Air temperature [K]", "airtemperature_k"])
def test_celsius_in_a_kelvin_column_is_suspected(spec: MachineSpec, header: str) -> None:
    checked = check_file(_celsius(header), spec)
    assert checked.fault is not None
    assert checked.fault.reason == "unit_suspected"
    assert "'Air temperature [°C]'" in str(checked.fault)


def test_celsius_that_says_so_is_converted_and_noted(spec: MachineSpec) -> None:
    checked = check_file(_celsius("Air temperature [°C]"), spec)
    assert checked.fault is None
    assert checked.notes["converted_from"] == {"airtemperature_k": "°C"}
    assert checked.accepted["airtemperature_k"].to_list()[:2] == [293.15, 293.25]


@pytest.mark.parametrize(("bad", "refused"), [(2, False), (3, True)])
def test_more_than_a_fifth_of_bad_rows_refuses_the_file(
    spec: MachineSpec, bad: int, refused: bool
) -> None:
    checked = check_file(_lines(*[ROW] * (10 - bad), *[BAD] * bad), spec)
    assert checked.tally.rejected == bad
    assert (checked.fault is not None) is refused
    if checked.fault:
        assert checked.fault.reason == "too_many_bad_rows"
        assert "3 of 10 rows are bad (not_a_number 3), more than 20%" in str(checked.fault)


def test_the_share_can_be_set(spec: MachineSpec) -> None:
    body = _lines(ROW, BAD)
    assert check_file(body, spec, limits=Limits(max_bad_share=0.5)).fault is None
    assert check_file(body, spec, limits=Limits(max_bad_share=0.4)).fault is not None


@pytest.mark.parametrize(("policy", "kept"), [("keep", 4), ("reject", 2)])
def test_duplicates_are_kept_or_rejected_as_the_spec_says(
    spec: MachineSpec, policy: str, kept: int
) -> None:
    other = b"M,300,310,1500,40,10"
    same = b' L,300.0,310,1500,40,"10"'
    told = spec.model_copy(update={"duplicates": policy})
    checked = check_file(_lines(ROW, other, ROW, same), told, limits=GENEROUS)
    assert len(checked.accepted) == kept
    if policy == "reject":
        assert checked.tally.reasons == {"duplicate_row": 2}
        assert checked.rejected.rows(named=True)[1]["raw"] == same.decode()
        assert checked.rejected["line"].to_list() == [4, 5]


NOTES: dict[str, tuple[bytes, dict[str, Any]]] = {
    "plain": (_lines(ROW), {"encoding": "utf-8", "delimiter": ",", "decimal_mark": "."}),
    "spanish": (
        _spanish("L;298,1;308,6;1551;42,8;0").encode("cp1252"),
        {"encoding": "utf-8", "delimiter": ";", "decimal_mark": ","},
    ),
}


@pytest.mark.parametrize("name", NOTES)
def test_how_a_file_is_written_is_noted(spec: MachineSpec, name: str) -> None:
    body, notes = NOTES[name]
    assert check_file(body, spec).notes == notes


def test_windows_text_is_taken_with_a_warning(spec: MachineSpec) -> None:
    checked = check_file(HEADER + b",turno\n" + ROW + ",mañana\n".encode("cp1252"), spec)
    assert checked.notes["encoding"] == "cp1252"
    assert "Windows-1252" in checked.warnings[0]
    assert checked.accepted["extra"].to_list() == ['{"turno":"mañana"}']


def test_decimals_are_settled_by_the_first_numbers_that_have_any(spec: MachineSpec) -> None:
    rows = ["L;298;308;1551;42;0"] * 3000 + ["L;298,1;308,6;1551;42,8;0"] + ["L;298;308;1.551;42;0"]
    checked = check_file(_spanish(*rows).encode(), spec)
    assert checked.notes["decimal_mark"] == ","
    assert len(checked.accepted) == 3001
    assert checked.tally.reasons == {"thousands_separator": 1}
