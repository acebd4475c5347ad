"""CSV files as tables of text: the header first, then the columns that are needed."""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path

import polars as pl

from presagio.errors import DataError
from presagio.machine.headers import HeaderLimits, check_header
from presagio.readings.formats.cells import FAULT

_ROWS = 50_000
_LONGEST_HEADER = 1 << 20
_REST = "@rest"


class Csv:
    """A CSV file: a header, then rows; quotes are taken off later.

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
        self._delimiter = max(",;\t", key=text.count)
        try:
            self.names = [n.strip() for n in next(csv.reader([text], delimiter=self._delimiter))]
        except csv.Error as err:
            raise DataError(f"the header cannot be read: {err}") from err
        check_header(self.names, headers)
        if len(set(self.names)) < len(self.names):
            raise DataError("a column stands in the header twice")

    def frames(self, columns: Mapping[str, str]) -> Iterator[pl.DataFrame]:
        """Yield the rows; ``columns`` maps names of the file to those that are wanted."""
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
        wide = pl.col(_REST).is_not_null()
        ragged = pl.when(wide).then(pl.lit(f"more than {len(self.names)} fields"))
        wanted = [pl.col(places[name]).alias(own) for name, own in columns.items()]
        rows = found.select(*wanted, ragged.alias(FAULT))
        yield from rows.collect_batches(chunk_size=_ROWS)
