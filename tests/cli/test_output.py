"""The same table on a terminal, in a pipe, and as JSON."""

import io
import json
import math
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from presagio.cli import output
from presagio.cli.tables import Column

COLUMNS = (Column("Key", "middle"), Column("State", styles={"bad": "red"}))
KEY = "incoming/" + "x" * 100 + ".csv"


def _terminal(monkeypatch: pytest.MonkeyPatch, **env: str) -> io.StringIO:
    text = io.StringIO()
    console = Console(
        file=text, force_terminal=True, highlight=False, _environ={"TERM": "xterm-256color", **env}
    )
    monkeypatch.setattr(output, "console", console)
    return text


def test_a_pipe_gets_one_line_a_row_tab_separated_and_whole(
    capsys: pytest.CaptureFixture[str],
) -> None:
    output.print_table(COLUMNS, [(KEY, "bad"), ("a\tb\nc", None)])
    assert capsys.readouterr().out == f"Key\tState\n{KEY}\tbad\na b c\t\n"


def test_a_terminal_gets_what_fits_its_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    text = _terminal(monkeypatch, COLUMNS="50")
    output.print_table(COLUMNS, [(KEY, "bad")])
    shown = Text.from_ansi(text.getvalue()).plain
    assert max(map(cell_len, shown.splitlines())) <= 50
    assert "…" in shown
    assert "\x1b[31mbad" in text.getvalue()


def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    text = _terminal(monkeypatch, COLUMNS="50", NO_COLOR="1")
    output.print_table(COLUMNS, [(KEY, "bad")])
    assert "\x1b[31m" not in text.getvalue()


def test_text_is_text_and_is_not_wrapped_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    output.say(f"[red]{KEY} {KEY} [/nothing]")
    assert capsys.readouterr().out == f"[red]{KEY} {KEY} [/nothing]\n"


def test_a_terminal_wraps_text_between_words(monkeypatch: pytest.MonkeyPatch) -> None:
    text = _terminal(monkeypatch, COLUMNS="40")
    output.say(f"the file {KEY} was taken, and nothing else is to be done about it")
    assert KEY in text.getvalue()
    assert text.getvalue().count("\n") == 4


def test_fields_without_a_value_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_fields({"id": 7, "reasons": {"x": 1}, "warnings": [], "message": None})
    assert capsys.readouterr().out == 'id\t7\nreasons\t{"x": 1}\n'


def test_json_is_one_line_of_plain_values(capsys: pytest.CaptureFixture[str]) -> None:
    moment = datetime(2026, 1, 2, 3, tzinfo=timezone(timedelta(hours=2)))
    output.print_json({
        "path": Path("a"), "at": moment, "nan": math.nan, "inf": [np.float64("inf")],
        "number": np.int64(3), "flag": np.bool_(True),  # noqa: FBT003
    })  # fmt: skip
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line) == {
        "path": "a", "at": "2026-01-02T01:00:00+00:00", "nan": None, "inf": [None],
        "number": 3, "flag": True,
    }  # fmt: skip


def test_what_json_does_not_know_is_an_error() -> None:
    with pytest.raises(TypeError):
        output.print_json({"object": object()})
