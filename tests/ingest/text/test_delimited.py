"""Whatever a file holds: no row is lost, the fast path agrees with the slow one, chunks too."""

import csv
import io
from dataclasses import dataclass
from typing import Any

import polars as pl
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from presagio.errors import UnreadableFileError
from presagio.ingest.checking import Limits, check_file
from presagio.ingest.text.delimited import TextRows
from presagio.machine.spec import MachineSpec, load_spec
from presagio.readings.rows import LINE, RAW
from tests.readings import COLUMNS

GENEROUS = Limits(max_bad_share=1.0)
FULL = [*COLUMNS, "UDI", "Machine failure", "shift"]
_VALID = st.tuples(
    st.sampled_from(["L", "M", "H"]),
    st.floats(250, 350), st.floats(250, 400), st.floats(0, 5000), st.floats(0, 150),
    st.floats(0, 500),
    st.text(st.characters(categories=["Lu", "Nd"]), max_size=5), st.booleans(),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=5),
)  # fmt: skip
_SCRAP = st.text("0123456789+-.eE,;_ \t\"'infaNtrulLM\r\xa0٣=", max_size=9)
_CELL = st.one_of(
    _SCRAP,
    st.sampled_from(["L", "300", "1,551", "1.551", "nan", "1e5", "true", "", " 40 ", '"40"']),
)


@dataclass
class _Reopened:
    body: bytes

    def __call__(self) -> io.BytesIO:
        return io.BytesIO(self.body)


def _both(
    body: bytes, spec: MachineSpec, *, fast: bool, chunk_bytes: int
) -> tuple[pl.DataFrame, pl.DataFrame] | str:
    try:
        rows = list(TextRows(_Reopened(body), spec, fast=fast, chunk_bytes=chunk_bytes))
    except UnreadableFileError as err:
        return err.reason
    accepted = pl.concat([r.accepted.drop(RAW, strict=False) for r in rows])
    return accepted, pl.concat([r.rejected for r in rows])


def _assert_same(one: Any, other: Any) -> None:
    if isinstance(one, str) or isinstance(other, str):
        assert one == other
        return
    assert_frame_equal(one[0], other[0])
    assert_frame_equal(one[1], other[1])


def _written(rows: list[tuple[Any, ...]], **dialect: Any) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n", **dialect).writerows([FULL, *rows])
    return text.getvalue()


@given(st.lists(_VALID, max_size=8), st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
def test_good_rows_are_taken_exactly_as_they_are(rows: list[tuple[Any, ...]], quoting: int) -> None:
    spec = load_spec()
    checked = check_file(_written(rows, quoting=quoting).encode(), spec)
    assert checked.rejected.to_dicts() == []
    taken = checked.accepted
    assert taken.select(spec.feature_names).rows() == [row[1:6] for row in rows]
    assert taken["udi"].to_list() == [row[6] for row in rows]
    assert taken["machine_failure"].to_list() == [row[7] for row in rows]
    assert taken["type_l"].to_list() == [row[0] == "L" for row in rows]


@given(st.lists(_VALID, min_size=1, max_size=8), st.data())
def test_a_damaged_table_loses_no_row(rows: list[tuple[Any, ...]], data: st.DataObject) -> None:
    spec = load_spec()
    plain = [(*row[:8], "day") for row in rows]
    lines = _written(plain).split("\n")[:-1]
    damaged = data.draw(st.sets(st.integers(1, len(rows))))
    for i in damaged:
        cells = lines[i].split(",")
        cells[data.draw(st.integers(0, 5))] = data.draw(_SCRAP.filter(lambda text: '"' not in text))
        lines[i] = ",".join(cells).replace("\r", "")
    checked = check_file("\n".join(lines).encode(), spec, limits=GENEROUS)
    assert checked.tally.rows == len(rows) == len(checked.accepted) + len(checked.rejected)
    assert set(checked.rejected["line"].to_list()) <= {i + 1 for i in damaged}
    for line, raw in checked.rejected.select("line", "raw").iter_rows():
        assert raw == lines[line - 1]
    assert sum(checked.accepted.null_count().row(0)) == 0
    for feature in spec.features:
        assert checked.accepted[feature.name].is_between(*feature.bounds).all()


def _lines_of(cells: st.SearchStrategy[str]) -> st.SearchStrategy[list[list[str]]]:
    good = st.just(["L", "300", "310", "1500", "40", "10", "7", "1", "day"])
    return st.lists(
        st.one_of(good, st.lists(cells, min_size=8, max_size=10)), min_size=1, max_size=8
    )


@given(
    _lines_of(_CELL), st.sampled_from([",", ";", "\t", "|"]), st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([20, 60, 200]),
)  # fmt: skip
def test_the_fast_path_and_chunks_change_nothing(
    lines: list[list[str]], delimiter: str, end: str, chunk_bytes: int
) -> None:
    spec = load_spec()
    body = end.join(delimiter.join(cells) for cells in [FULL, *lines]).encode()
    whole = _both(body, spec, fast=False, chunk_bytes=1 << 20)
    _assert_same(_both(body, spec, fast=True, chunk_bytes=1 << 20), whole)
    if delimiter == ",":
        # With others, a chunk may settle the decimal mark before a later one is seen.
        _assert_same(_both(body, spec, fast=True, chunk_bytes=chunk_bytes), whole)


@given(st.lists(_SCRAP, min_size=1, max_size=6))
def test_numbers_mean_the_same_both_ways(cells: list[str]) -> None:
    spec = load_spec()
    safe = [cell.replace(",", "").replace('"', "").replace("\r", "") for cell in cells]
    rows = "\n".join(f"L,300,310,1500,{cell},10" for cell in safe)
    body = f"{','.join(COLUMNS)}\n{rows}\n".encode()
    slow = _both(body, spec, fast=False, chunk_bytes=1 << 20)
    _assert_same(_both(body, spec, fast=True, chunk_bytes=1 << 20), slow)


@given(
    st.lists(st.lists(_CELL, min_size=9, max_size=9), min_size=1, max_size=5),
    st.integers(0, 50), st.sampled_from(["\n", "\r\n"]),
)  # fmt: skip
def test_quotes_around_every_cell_mean_the_same_both_ways(
    rows: list[list[str]], damage: int, end: str
) -> None:
    spec = load_spec()
    lines = [",".join(f'"{cell}"' for cell in cells) for cells in [FULL, *rows]]
    text = end.join(lines)
    # Sometimes a character is lost, a quote often.
    body = (text[:damage] + text[damage + 1 :] if damage < 25 else text).encode()
    slow = _both(body, spec, fast=False, chunk_bytes=1 << 20)
    _assert_same(_both(body, spec, fast=True, chunk_bytes=1 << 20), slow)


def test_lines_are_counted_over_chunks(spec: MachineSpec) -> None:
    good, bad = "L,300,310,1500,40,10", "L,300,310,fast,40,10"
    lines = [",".join(COLUMNS), *([good] * 7 + [bad]) * 40]
    taken = _both("\n".join(lines).encode(), spec, fast=True, chunk_bytes=100)
    assert not isinstance(taken, str)
    assert taken[1]["line"].to_list() == [i + 1 for i, line in enumerate(lines) if line == bad]
    assert taken[0][LINE].to_list() == [i + 1 for i, line in enumerate(lines) if line == good]


def test_a_record_of_several_lines_may_cross_chunks(spec: MachineSpec) -> None:
    note = "first\n" * 20 + "last"
    header = ",".join([*COLUMNS, "note"])
    body = f"{header}\n" + f'L,300,310,1500,40,10,"{note}"\n' * 5
    taken = _both(body.encode(), spec, fast=True, chunk_bytes=64)
    assert not isinstance(taken, str)
    assert len(taken[0]) == 5
    assert taken[0][LINE].to_list() == [2, 23, 44, 65, 86]


def test_a_line_without_end_is_no_table(spec: MachineSpec) -> None:
    body = ",".join(COLUMNS).encode() + b"\n" + b"1" * (5 << 20)
    found = _both(body, spec, fast=True, chunk_bytes=1 << 20)
    assert found == "malformed"
