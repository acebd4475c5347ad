"""Tables that fit a terminal without breaking a cell inside a word."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from rich import box
from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

_GAP = 2
_NARROWEST = 10


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes
    ----------
    fit
        What may be done where a terminal is narrow: ``keep`` the cell whole, shorten it in the
        ``middle`` (keys, digests, ids), or wrap it between ``words``.
    right
        Whether its cells stand to the right, as numbers do.
    least, most
        How narrow and how wide it may become on a terminal, where its cells are long enough.
    optional
        Whether it is left out where a terminal is narrow.
    styles
        Style of a cell by its text.
    """

    title: str
    fit: Literal["keep", "middle", "words"] = "keep"
    right: bool = False
    least: int = _NARROWEST
    most: int = 10_000
    optional: bool = False
    styles: Mapping[str, str] = field(default_factory=dict)


def one_line(value: Any) -> str:
    """Return a value as text without tabs and line ends: it stays one field of one line."""
    return "" if value is None else " ".join(str(value).split())


def shorten(text: str, width: int) -> str:
    """Shorten a text in its middle; its beginning and its end are what tells it from others."""
    if cell_len(text) <= width:
        return text
    head = (width - 1) // 2
    tail = width - 1 - head
    return f"{text[:head]}…{text[-tail:] if tail else ''}"


def _longest_word(text: str) -> int:
    return max(map(cell_len, text.split()), default=0)


def _widths(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> list[int]:
    """Return the width of each column; empty where they do not fit."""
    natural = [
        min(max([_longest_word(column.title), *(cell_len(row[i]) for row in rows)]), column.most)
        for i, column in enumerate(columns)
    ]
    found = [
        size if column.fit == "keep" else min(size, max(column.least, _longest_word(column.title)))
        for size, column in zip(natural, columns, strict=True)
    ]
    left = width - _GAP * (len(columns) - 1) - sum(found)
    if left < 0:
        return []
    # Those that need little more get it, the others share what is left.
    growing = sorted(range(len(columns)), key=lambda i: natural[i] - found[i])
    for place, i in enumerate(growing):
        more = min(natural[i] - found[i], left // (len(growing) - place))
        found[i] += more
        left -= more
    return found


def _cell(column: Column, text: str, width: int) -> Text:
    if column.fit == "words":
        text = " ".join(shorten(part, width) for part in text.split())
    elif column.fit == "middle":
        text = shorten(text, width)
    return Text(text, column.styles.get(text, ""))


def _records(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int
) -> RenderableType:
    """Show each row as lines of names and values: what is left where no table fits."""
    names = max(cell_len(column.title) for column in columns)
    space = max(width - names - _GAP, _NARROWEST)
    lines = []
    for row in rows:
        for column, text in zip(columns, row, strict=True):
            value = shorten(text, space) if column.fit == "middle" else text
            lines.append(Text(f"{column.title:<{names}}  {value}"))
        lines.append(Text(""))
    return Group(*lines)


def draw(columns: Sequence[Column], rows: Sequence[Sequence[Any]], width: int) -> RenderableType:
    """Draw a table that is no wider than ``width``."""
    texts = [[one_line(value) for value in row] for row in rows]
    kept, widths = list(range(len(columns))), list[int]()
    while not widths:
        chosen = [columns[i] for i in kept]
        widths = _widths(chosen, [[row[i] for i in kept] for row in texts], width)
        if not widths:
            optional = [i for i in kept if columns[i].optional]
            if not optional:
                return _records(columns, texts, width)
            kept.remove(optional[-1])
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, _GAP - 1, 0, 0))
    for column, size in zip(chosen, widths, strict=True):
        table.add_column(
            Text(column.title), width=size, justify="right" if column.right else "left"
        )
    for row in texts:
        cells = zip(chosen, [row[i] for i in kept], widths, strict=True)
        table.add_row(*(_cell(column, text, size) for column, text, size in cells))
    return table
