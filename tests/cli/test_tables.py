"""Tables fit their terminal and break no cell inside a word."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from presagio.cli.tables import Column, draw, one_line, shorten

COLUMNS = (
    Column("Receipt", right=True), Column("Filed", "words"), Column("Key", "middle"),
    Column("Verdict"), Column("Reasons", "words"),
    Column("SHA-256", "middle", most=12, optional=True),
)  # fmt: skip
ROWS = [
    (7, "2026-11-25 10:03", "incoming/plant 4/press-7/2026-11-25T10-03-17.csv.gz", "quarantined",
     "not a number 12, unknown category 3", "0123456789abcdef" * 4),
]  # fmt: skip


def _drawn(width: int, rows: list[tuple[object, ...]] | None = None) -> list[str]:
    text = io.StringIO()
    console = Console(file=text, width=width, force_terminal=True, color_system=None)
    console.print(draw(COLUMNS, ROWS if rows is None else rows, width))
    return text.getvalue().splitlines()


@pytest.mark.parametrize("width", [30, 40, 60, 80, 100, 120, 200])
def test_no_line_is_wider_than_the_terminal_and_no_word_is_broken(width: int) -> None:
    lines = _drawn(width)
    assert all(len(line.rstrip()) <= width for line in lines)
    known = set(" ".join(map(str, ROWS[0])).split()) | {column.title for column in COLUMNS}
    for word in " ".join(lines).replace("─", " ").split():
        assert word in known or "…" in word, word


def test_a_long_key_keeps_its_beginning_and_its_end() -> None:
    (line,) = [line for line in _drawn(80) if "quarantined" in line]
    assert "incomi….csv.gz" in line


def test_the_least_important_column_goes_first_where_it_is_narrow() -> None:
    assert "SHA-256" in "".join(_drawn(120))
    assert "SHA-256" not in "".join(_drawn(65))


def test_where_no_table_fits_each_value_has_a_line() -> None:
    lines = [line.split(None, 1) for line in _drawn(40) if line.strip()]
    assert ["Verdict", "quarantined"] in [list(map(str.strip, line)) for line in lines]


def test_a_column_becomes_no_narrower_than_it_may() -> None:
    columns = (Column("Column", "middle", least=12), Column("Why", "words"))
    text = io.StringIO()
    Console(file=text, width=30).print(draw(columns, [("a" * 40, "word " * 20)], 30))
    assert "aaaaa…aaaaaa" in text.getvalue()


def test_an_empty_table_has_its_titles() -> None:
    assert "Verdict" in "".join(_drawn(80, []))


@given(st.text(), st.integers(1, 60))
def test_a_shortened_text_fits_and_begins_and_ends_like_the_whole(text: str, width: int) -> None:
    text = one_line(text)
    short = shorten(text, width)
    head, mark, tail = short.partition("…")
    assert short == text or (mark and text.startswith(head) and text.endswith(tail))
    assert short == text or len(short) <= width


@given(st.text())
def test_a_value_is_one_field_of_one_line(text: str) -> None:
    assert not set("\t\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029") & set(one_line(text))
