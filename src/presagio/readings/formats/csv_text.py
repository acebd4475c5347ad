"""CSV files as tables of text: the header first, then the columns that are needed."""

import csv
import mmap
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import polars as pl

from presagio.errors import DataError
from presagio.machine.headers import HeaderLimits, check_header
from presagio.readings.formats.cells import FAULT, REASON
from presagio.readings.rules import Reason

_ROWS = 50_000
_LONGEST_HEADER = 1 << 20
_REST, _ODD, _BARE = "@rest", "@odd", "@bare"
# What may stand between cells, in the order in which it is tried.
DELIMITERS = (",", ";", "\t", "|")


def _has_quotes(path: Path) -> bool:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as whole:
        return whole.find(b'"') >= 0


def _without_quotes(rows: pl.LazyFrame, names: Collection[str]) -> pl.LazyFrame:
    """Take the quotes around cells off; ``_ODD`` tells which rows have others at an end."""
    bare = [pl.col(name).str.strip_chars('"').alias(name + _BARE) for name in names]
    odd = []
    for name in names:
        cell, length = pl.col(name).str, pl.col(name + _BARE).str.len_bytes()
        odd.append(cell.starts_with('"') != cell.ends_with('"'))
        odd.append(~(cell.len_bytes() - length).is_in([0, 2]))
    return (
        rows.with_columns(bare)
        .with_columns(pl.any_horizontal(odd).fill_null(value=False).alias(_ODD))
        .with_columns(pl.col(name + _BARE).alias(name) for name in names)
    )


class Csv:
    """A CSV file: a header, then rows.

    A cell may stand in quotes, with neither a quote nor a line break within.

    Raises
    ------
    DataError
        If it has no header that can be read.
    """

    def __init__(self, path: Path, headers: HeaderLimits) -> None:
        self._path = path
        with path.open("rb") as file:
            line = file.readline(_LONGEST_HEADER)
        if len(line) == _LONGEST_HEADER:
            raise DataError(f"the header is longer than {_LONGEST_HEADER:,} bytes")
        text = line.decode("utf-8-sig", errors="replace").strip("\r\n")
        if not text.strip():
            raise DataError("the file is empty")
        if "\r" in text:
            raise DataError("its lines end in CR alone; write LF or CR LF")
        self._delimiter = max(DELIMITERS, key=text.count)
        try:
            self.names = [n.strip() for n in next(csv.reader([text], delimiter=self._delimiter))]
        except csv.Error as err:
            raise DataError(f"the header cannot be read: {err}") from err
        check_header(self.names, headers)
        if len(set(self.names)) < len(self.names):
            raise DataError("a column stands in the header twice")

    def frames(
        self, columns: Mapping[str, str], echoed: Mapping[str, str]
    ) -> Iterator[pl.DataFrame]:
        """Yield the rows; both map names of the file to those that are wanted.

        Quotes at an end of what is only echoed are no fault.
        """
        # A line break within quotes would join rows. A row with too many fields has a rest.
        places = {name: f"@{i}" for i, name in enumerate(self.names)}
        found = pl.scan_csv(
            self._path,
            has_header=False,
            skip_rows=1,
            separator=self._delimiter,
            quote_char=None,
            schema=dict.fromkeys([*places.values(), _REST], pl.String),
            missing_columns="insert",
            truncate_ragged_lines=True,
            encoding="utf8-lossy",
        )
        if _has_quotes(self._path):
            found = _without_quotes(found, [places[name] for name in columns])
        else:
            found = found.with_columns(pl.lit(value=False).alias(_ODD))
        faults = (
            (pl.col(_REST).is_not_null(), Reason.RAGGED, f"more than {len(self.names)} fields"),
            (pl.col(_ODD), Reason.MALFORMED_QUOTES, "a quote stands where none may"),
        )
        reason = message = pl.lit(None, pl.String)
        for is_odd, code, words in reversed(faults):
            reason = pl.when(is_odd).then(pl.lit(str(code))).otherwise(reason)
            message = pl.when(is_odd).then(pl.lit(words)).otherwise(message)
        rows = found.select(
            *(pl.col(places[name]).alias(new) for name, new in columns.items()),
            *(pl.col(places[name]).str.strip_chars('"').alias(new) for name, new in echoed.items()),
            message.alias(FAULT),
            reason.alias(REASON),
        )
        yield from rows.collect_batches(chunk_size=_ROWS)
