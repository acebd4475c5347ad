"""What a drafted machine spec asks its reader, taken out of its comments."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_BEHIND = re.compile(r"^[a-z_]+ = .*?  # (?P<text>[^#]*)$")
_NAME = re.compile(r'^name = "(?P<name>[^"]*)"$')
_TABLE = re.compile(r"^\[+(?P<table>[a-z_]+)\]+$")
_LEFT_OUT = "Left out: "


@dataclass(frozen=True)
class Question:
    """A comment of a draft that somebody has to answer, or to know.

    Attributes
    ----------
    line
        Of the draft, from 1.
    about
        The column, or the table, that it is about; empty where it is about the whole.
    text
        As it stands there.
    """

    line: int
    about: str
    text: str


def questions_of(draft: str) -> Iterator[Question]:
    """Yield what a draft asks, and what it warns of, in its order.

    Parameters
    ----------
    draft
        What :func:`presagio.jobs.spec_draft.draft_spec` returns.
    """
    lines = draft.split("\n")
    # Its first two lines say how to go on from the command line.
    for number, line in enumerate(lines[2:], 3):
        if line.startswith("# "):
            text = line[2:]
            about = "" if text.startswith(_LEFT_OUT) else _following(lines, number)
        elif (behind := _BEHIND.match(line)) is not None:
            text, about = behind["text"], _preceding(lines, number)
        else:
            continue
        if "?" in text or text.startswith((_LEFT_OUT, "Warning:")):
            yield Question(number, about, text)


def _following(lines: list[str], number: int) -> str:
    """Return what the lines after a comment are about: a column, or a table without a name."""
    table = ""
    for line in lines[number:]:
        if (name := _NAME.match(line)) is not None:
            return name["name"]
        if table:
            return table
        if (found := _TABLE.match(line)) is not None:
            table = found["table"]
        elif not line.startswith("#"):
            return _preceding(lines, number)
    return table


def _preceding(lines: list[str], number: int) -> str:
    for line in reversed(lines[:number]):
        if (name := _NAME.match(line)) is not None:
            return name["name"]
        if line.startswith("["):
            break
    return ""
