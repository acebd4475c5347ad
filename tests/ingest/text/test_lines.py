"""How lines end, which of them are rows, and how little memory a hostile file takes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from presagio.errors import UnreadableFileError
from presagio.ingest.checking import Limits, check_file
from presagio.ingest.text.encoding import TextForm, find_form, utf8_blocks
from presagio.ingest.text.lines import Chunks, pieces, without_lines
from presagio.machine.spec import MachineSpec
from tests.readings import HEADER

ROW = b"L,300,310,1500,40,10"
BAD = b"L,300,310,fast,40,10"
GENEROUS = Limits(max_bad_share=1.0)
_MEBIBYTE = 1 << 20


@pytest.mark.parametrize(
    ("end", "name"), [("\r", "CR"), ("\x85", "NEL"), ("\u2028", "LS"), ("\u2029", "PS")]
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_other_line_ends_are_understood_and_noted(
    spec: MachineSpec, end: str, name: str, encoding: str
) -> None:
    text = end.join(line.decode() for line in [HEADER, ROW, BAD, ROW])
    checked = check_file(text.encode(encoding), spec, limits=GENEROUS)
    assert (len(checked.accepted), checked.rejected["line"].to_list()) == (2, [3])
    assert checked.notes["line_end"] == name


def test_line_feeds_need_no_note(spec: MachineSpec) -> None:
    for end in (b"\n", b"\r\n"):
        assert "line_end" not in check_file(end.join([HEADER, ROW]), spec).notes


@pytest.mark.parametrize("other", ["\x85", "\u2028", "\u2029", "\x0c", "\x0b"])
def test_in_a_file_with_line_feeds_other_ends_are_characters(spec: MachineSpec, other: str) -> None:
    note = f"a{other}b"
    body = HEADER + b",note\n" + ROW + f",{note}\n".encode()
    (row,) = check_file(body, spec).accepted.to_dicts()
    assert json.loads(row["extra"]) == {"note": note}


def test_a_lone_return_is_a_character_and_told(spec: MachineSpec) -> None:
    checked = check_file(b"\n".join([HEADER, ROW + b"\r" + ROW, ROW, ROW]), spec, limits=GENEROUS)
    assert (len(checked.accepted), checked.tally.reasons) == (2, {"ragged": 1})
    assert "1 carriage returns stand within lines" in checked.warnings[0]


def test_returns_end_lines_where_they_are_most(spec: MachineSpec) -> None:
    checked = check_file(b"\r".join([HEADER, ROW, BAD, ROW]) + b"\r\n", spec, limits=GENEROUS)
    assert (len(checked.accepted), len(checked.rejected)) == (2, 1)


def test_doubled_returns_are_no_matter(spec: MachineSpec) -> None:
    assert len(check_file(b"\r\r\n".join([HEADER, ROW, ROW, b""]), spec).accepted) == 2


@given(st.text(st.sampled_from("ab\r\n"), max_size=12), st.integers(1, 4))
def test_returns_become_feeds_wherever_blocks_end(text: str, size: int) -> None:
    class Small:
        def __init__(self) -> None:
            self.rest = text.encode()

        def read(self, wanted: int, /) -> bytes:
            step = min(size, wanted)
            block, self.rest = self.rest[:step], self.rest[step:]
            return block

    whole = b"".join(utf8_blocks(Small(), TextForm("utf-8", line_end="\r")))
    assert whole.decode() == text.replace("\r\n", "\n").replace("\r", "\n")
    lone = text.count("\r") - text.count("\r\n")
    form = find_form(Small)
    assert (form.line_end == "\r") == (lone > text.count("\n"))


@pytest.mark.parametrize(
    "body",
    [HEADER, HEADER + b"\n", HEADER + b"\n\n \n", HEADER + b"\x0c" + ROW[:1]],
    ids=["header", "header and end", "blank lines", "form feed"],
)
def test_a_header_without_rows_is_refused_and_says_so(spec: MachineSpec, body: bytes) -> None:
    try:
        fault = check_file(body, spec).fault
    except UnreadableFileError as err:
        fault = err
    assert fault is not None
    assert fault.reason in {"no_rows", "missing_columns"}


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_a_row_of_delimiters_is_a_row_whatever_they_are(spec: MachineSpec, delimiter: str) -> None:
    rows = [HEADER, ROW, b",,,,,", ROW]
    body = b"\n".join(rows).replace(b",", delimiter.encode())
    checked = check_file(body, spec, limits=GENEROUS)
    assert (checked.tally.rows, checked.rejected["line"].to_list()) == (3, [3])
    assert checked.tally.reasons == {"missing": 6}


def test_blank_lines_are_no_rows_and_counted(spec: MachineSpec) -> None:
    body = b"\n".join([HEADER, b"", ROW, b"  ", b"\t", b"", BAD, ROW, b"", b"", b""])
    checked = check_file(body, spec, limits=GENEROUS)
    assert checked.tally.rows == 3
    assert checked.notes["blank_lines"] == 6
    assert checked.rejected["line"].to_list() == [7]


@given(st.text(st.sampled_from("ab\n"), max_size=30), st.integers(1, 9), st.integers(1, 9))
def test_chunks_and_pieces_lose_nothing_but_blank_lines_at_the_end(
    text: str, size: int, block: int
) -> None:
    body = text.encode()
    chunks = Chunks(iter([body[i : i + block] for i in range(0, len(body), block)]), size)
    cut = [(piece, more) for piece, more in chunks]
    assert b"".join(piece for piece, _ in cut) == body[: len(b"".join(p for p, _ in cut))]
    assert [more for _, more in cut][-1:] == [False]
    assert all(piece.endswith(b"\n") for piece, more in cut if more)
    kept = b"".join(piece for piece, _ in cut)
    assert body.removeprefix(kept).strip(b"\n") == b""
    divided = list(pieces(body, size))
    assert b"".join(piece for piece, _ in divided) == body
    assert [last for _, last in divided] == [False] * (len(divided) - 1) + [True]
    assert without_lines(body, 2) == b"".join(body.splitlines(keepends=True)[2:])


def test_a_line_without_end_is_refused_wherever_it_begins() -> None:
    blocks = iter([b"header\n", *[b"x" * _MEBIBYTE] * 40])
    with pytest.raises(UnreadableFileError) as refused:
        list(Chunks(blocks, 16 * _MEBIBYTE))
    assert refused.value.reason == "malformed"


_PEAK = """
import sys
from presagio.ingest.checking import FileRows
from presagio.machine.spec import load_spec
with open(sys.argv[1], "rb") as file:
    rows = FileRows(file, ".csv", load_spec())
    for _ in rows:
        pass
# Unlike ru_maxrss it does not begin with the peak of the process that forked.
(peak,) = [line for line in open("/proc/self/status") if line.startswith("VmHWM:")]
print(rows.tally.rows, rows.tally.rejected, int(peak.split()[1]) >> 10)
"""


def _peak(path: Path) -> tuple[int, int, int]:
    done = subprocess.run(
        [sys.executable, "-c", _PEAK, str(path)], capture_output=True, text=True, check=True
    )
    rows, rejected, mebibytes = map(int, done.stdout.split())
    return rows, rejected, mebibytes


def test_line_feeds_take_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "feeds.csv"
    path.write_bytes(HEADER + b"\n" + ROW + b"\n" * (8 * _MEBIBYTE) + ROW)
    rows, rejected, mebibytes = _peak(path)
    assert (rows, rejected) == (2, 0)
    assert mebibytes < 512


def test_long_names_of_empty_cells_take_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    names = ",".join(f"{i:04}{'x' * 250}" for i in range(2000)).encode()
    path.write_bytes(HEADER + b"," + names + b"\n" + (ROW + b"," * 2000 + b"\n") * 300)
    rows, rejected, mebibytes = _peak(path)
    assert (rows, rejected) == (300, 0)
    assert mebibytes < 512
