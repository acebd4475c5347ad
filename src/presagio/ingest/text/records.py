"""From lines to records, one by one: quotes, line breaks within a cell, and what cannot be read.

A quote that is opened and not closed would swallow the rest of a file. So a record of several lines
is believed only when it ends within a bound, is well-formed, and has as many cells as the header;
else its first line alone is refused, and reading goes on with the next.
"""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import polars as pl

from presagio.readings.fault_words import WHOLE_ROW, ragged
from presagio.readings.row_check import RowCheck
from presagio.readings.rows import (
    LINE,
    RAW,
    CheckedRows,
    check_cells,
    extra_cells,
    extra_column,
    rejected_rows,
)
from presagio.readings.rules import Fault, Reason

# What is held as objects at once.
PART_RECORDS = 10_000
_MOST_LINES = 100
# A cell is no longer than this, so neither is what the csv module has to hold.
_MOST_CHARACTERS = 1 << 20
csv.field_size_limit(_MOST_CHARACTERS)


@dataclass(frozen=True)
class Record:
    """A record: the line that it begins on, its raw text, and its cells or why it has none."""

    line: int
    raw: str
    cells: tuple[str, ...] = ()
    reason: str = ""
    message: str = ""


def _cells(text: str, delimiter: str) -> tuple[str, ...] | None:
    """Return the cells of a text that is one well-formed record, else None."""
    try:
        rows = list(csv.reader([text], delimiter=delimiter, strict=True))
    except csv.Error:
        return None
    return tuple(rows[0]) if len(rows) == 1 else None


def _opens(text: str, delimiter: str) -> bool:
    """Tell whether a quoted cell is still open at the end of a text."""
    try:
        list(csv.reader([text], delimiter=delimiter, strict=True))
    except csv.Error as err:
        return "unexpected end of data" in str(err)
    return False


class RecordReader:
    """Reads lines as records of ``width`` cells.

    Attributes
    ----------
    unfinished
        After a reading: the position of the line on which a record begins that may go on after the
        lines that were given, and was not yielded; None where there is no such record.
    blank_lines
        How many lines with nothing but white space were passed over, in all readings.
    """

    def __init__(self, delimiter: str, width: int) -> None:
        self._delimiter = delimiter
        self._width = width
        self.unfinished: int | None = None
        self.blank_lines = 0

    def read(self, lines: Sequence[str], numbers: Sequence[int], *, more: bool) -> Iterator[Record]:
        """Yield the records of consecutive lines.

        A line of nothing but white space is no record. With a delimiter in it, it is one of empty
        cells, whether that delimiter is a tab or a comma.

        Parameters
        ----------
        lines
            Lines without their line feeds.
        numbers
            The number of each in the file.
        more
            Whether the file goes on after them.
        """
        self.unfinished = None
        i = 0
        while i < len(lines):
            if not lines[i].strip() and self._delimiter not in lines[i]:
                self.blank_lines += 1
                i += 1
                continue
            record, used = self._record(lines, numbers[i], i, more=more)
            if record is None:
                self.unfinished = i
                return
            yield record
            i += used

    def _record(
        self, lines: Sequence[str], number: int, i: int, *, more: bool
    ) -> tuple[Record | None, int]:
        line = lines[i].removesuffix("\r")
        if '"' not in line:
            return self._measured(number, line, tuple(line.split(self._delimiter))), 1
        cells = _cells(line, self._delimiter)
        if cells is not None:
            return self._measured(number, line, cells), 1
        if not _opens(line, self._delimiter):
            return Record(
                number, line, reason=Reason.MALFORMED_QUOTES,
                message=str(WHOLE_ROW[Reason.MALFORMED_QUOTES]),
            ), 1  # fmt: skip
        return self._several_lines(lines, number, i, more=more)

    def _several_lines(
        self, lines: Sequence[str], number: int, i: int, *, more: bool
    ) -> tuple[Record | None, int]:
        text, last = lines[i], min(i + _MOST_LINES, len(lines))
        for j in range(i + 1, last):
            text += "\n" + lines[j]
            if len(text) > _MOST_CHARACTERS:
                break
            if '"' in lines[j] and not _opens(text, self._delimiter):
                whole = text.removesuffix("\r")
                cells = _cells(whole, self._delimiter)
                if cells is not None and len(cells) == self._width:
                    return Record(number, whole, cells), j - i + 1
                break
        else:
            if more and last == len(lines) and len(lines) - i < _MOST_LINES:
                return None, 0
        return Record(
            number, lines[i].removesuffix("\r"), reason=Reason.UNCLOSED_QUOTE,
            message=str(WHOLE_ROW[Reason.UNCLOSED_QUOTE]),
        ), 1  # fmt: skip

    def _measured(self, number: int, raw: str, cells: tuple[str, ...]) -> Record:
        if len(cells) == self._width:
            return Record(number, raw, cells)
        message = str(ragged(len(cells), self._width))
        return Record(number, raw, reason=Reason.RAGGED, message=message)


def record_parts(records: Iterator[Record]) -> Iterator[list[Record]]:
    """Divide records into lists of a bounded length; at least one, which may be empty."""
    part = list(islice(records, PART_RECORDS))
    yield part
    while part := list(islice(records, PART_RECORDS)):
        yield part


def check_records(records: Sequence[Record], check: RowCheck) -> CheckedRows:
    """Check the records of a text file.

    Returns
    -------
    CheckedRows
        Each record once; those that could not be read are rejected with that one fault, since
        which cell is which cannot be known.
    """
    whole = [record for record in records if not record.reason]
    broken = [record for record in records if record.reason]
    data: dict[str, list[str] | list[int]] = {
        name: [record.cells[i] for record in whole] for i, name in check.match.names.items()
    }
    names = {i: extra_column(i) for i in check.match.extras}
    data |= {name: [record.cells[i] for record in whole] for i, name in names.items()}
    text = dict.fromkeys(data, pl.String)
    cells = pl.DataFrame(
        data | {LINE: [r.line for r in whole], RAW: [r.raw for r in whole]},
        schema={**text, LINE: pl.Int64, RAW: pl.String},
    )
    if names:
        cells = cells.with_columns(extra_cells(check.match))
    checked = check_cells(cells, check)
    unread = rejected_rows(
        [record.line for record in broken],
        [record.raw for record in broken],
        [(i, Fault("", record.reason, record.message)) for i, record in enumerate(broken)],
    )
    rejected = pl.concat([checked.rejected, unread]).sort("line") if broken else checked.rejected
    return replace(checked, rejected=rejected)
