"""The steps of the demonstration: lines of text, or one object of JSON a line."""

import json

import pytest

from presagio.cli.demo_steps import Steps

pytestmark = pytest.mark.unit


def test_steps_are_numbered_and_what_happens_in_them_is_indented(
    capsys: pytest.CaptureFixture[str],
) -> None:
    steps = Steps()
    steps.begin("A file lands")
    steps.show("filed", "10 rows\nreceipt 3", receipt=3)
    steps.begin("It is scored")
    assert capsys.readouterr().out == (
        "\n1. A file lands\n   10 rows\n   receipt 3\n\n2. It is scored\n"
    )


def test_json_has_an_object_a_line_with_the_step_and_no_text(
    capsys: pytest.CaptureFixture[str],
) -> None:
    steps = Steps(as_json=True)
    steps.begin("A file lands")
    steps.show("filed", "10 rows", receipt=3)
    steps.begin("It is scored")
    steps.show("day", "a line", day="2026-03-02")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        {"step": 1, "event": "filed", "receipt": 3},
        {"step": 2, "event": "day", "day": "2026-03-02"},
    ]
