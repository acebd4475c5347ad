"""How commands print: text, tables, progress and JSON; and the options that they share.

A table on a terminal fits its width. Into a pipe or a file it is one line a row: the titles, then
the rows, tab separated, every value whole. ``--json`` prints one object for one thing, and for a
list one object a line (NDJSON).
"""

import json
import math
import textwrap
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum, StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress, ProgressColumn
from rich.text import Text

from presagio.cli.tables import Column, draw, one_line

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)

Home = Annotated[
    Path | None,
    typer.Option(
        "--home",
        envvar="PRESAGIO_HOME",
        show_default="the nearest .presagio",
        help="Folder of the stack: data, logs, secrets.",
    ),
]
FleetName = Annotated[
    str | None,
    typer.Option(
        "--fleet",
        metavar="NAME",
        help="The fleet that it is about; the default fleet when not given.",
    ),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print JSON: one object, or one a line for a list.")
]


class ScopeName(StrEnum):
    """What a token allows."""

    predict = "predict"
    feedback = "feedback"
    view = "view"
    operate = "operate"
    admin = "admin"


def say(text: str, *, style: str = "", to: Console | None = None) -> None:
    """Print plain text; wrapped between words on a terminal, as it is elsewhere."""
    out = to or console
    if out.is_terminal:
        text = "\n".join(_wrapped(line, out.width) for line in text.split("\n"))
    out.print(Text(text, style), soft_wrap=True)


def _wrapped(line: str, width: int) -> str:
    """Wrap between words; a path longer than a line stays whole, so that it can be copied."""
    indent = line[: len(line) - len(line.lstrip())]
    return textwrap.fill(
        line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def warn(text: str) -> None:
    """Print plain text on standard error."""
    say(text, to=errors)


def local_time(moment: datetime) -> str:
    """Return a time to the minute, in the time zone of whoever reads it."""
    return f"{moment.astimezone():%Y-%m-%d %H:%M}"


def rounded(value: float | None, digits: int = 3) -> str:
    """Return a number with so many decimals; nothing for None."""
    return "" if value is None else f"{value:.{digits}f}"


def print_table(columns: Sequence[Column], rows: Sequence[Sequence[Any]]) -> None:
    """Print a table: fitted to a terminal, tab separated elsewhere."""
    if console.is_terminal:
        console.print(draw(columns, rows, console.width))
        return
    for row in ([column.title for column in columns], *rows):
        print("\t".join(map(one_line, row)))


def print_fields(fields: Mapping[str, Any]) -> None:
    """Print the fields of one thing, one a line; those without a value are left out."""
    shown = {name: value for name, value in fields.items() if value not in (None, {}, [], (), "")}
    width = max(map(len, shown), default=0)
    for name, value in shown.items():
        text = value if isinstance(value, str) else json.dumps(_plain(value), ensure_ascii=False)
        if console.is_terminal:
            say(f"{name:<{width}}  {text}")
        else:
            print(f"{name}\t{one_line(text)}")


def progress(*columns: ProgressColumn | str, as_json: bool = False) -> Progress:
    """Return a progress bar on standard error; silent where that is no terminal."""
    hidden = as_json or not errors.is_terminal
    return Progress(*columns, console=errors, transient=True, disable=hidden)


def _plain(value: Any) -> Any:
    """Turn a value into what JSON knows; a number that is none (NaN, infinity) is null."""
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(each) for each in value]
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "item"):  # a scalar of NumPy
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def print_json(value: Any, *, to_errors: bool = False) -> None:
    """Print a value as one line of JSON; events of progress go to standard error."""
    text = json.dumps(_plain(value), allow_nan=False)
    print(text, flush=True, file=errors.file if to_errors else None)
