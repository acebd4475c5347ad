"""Rows of a Parquet file, put through the same checks as text."""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import polars as pl

from presagio.errors import UnreadableFileError
from presagio.ingest.checking import LINE, RAW, CheckedRows, check_cells, extra_cells, extra_column
from presagio.ingest.compression import Caps
from presagio.ingest.dialect import require_columns
from presagio.ingest.rules import RowCheck
from presagio.machine.columns import match_columns
from presagio.machine.headers import HeaderLimits
from presagio.machine.spec import MachineSpec

_ROWS = 50_000
_CELL_BYTES = 8
# A hostile file can make the reader panic, which is no Exception.
_BROKEN = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError)


def _broken(err: BaseException) -> UnreadableFileError:
    first = str(err).partition("\n")[0]
    return UnreadableFileError("corrupt", f"the Parquet file cannot be read ({first})")


class ParquetRows:
    """The rows of a Parquet file; a row's number stands for its line.

    Raises
    ------
    UnreadableFileError
        ``corrupt``, ``too_large``, ``missing_columns``, ``duplicated_columns``.
    """

    def __init__(
        self, file: BinaryIO, spec: MachineSpec, caps: Caps, headers: HeaderLimits
    ) -> None:
        # By name Polars reads what it needs; an open file it would read whole.
        name = getattr(file, "name", None)
        file.seek(0)
        try:
            self._scan = pl.scan_parquet(name if isinstance(name, str | Path) else file)
            self.header = tuple(self._scan.collect_schema().names())
            self._rows = int(self._scan.select(pl.len()).collect().item())
        except _BROKEN as err:
            raise _broken(err) from err
        unpacked = self._rows * max(1, len(self.header)) * _CELL_BYTES
        if unpacked > caps.max_bytes:
            raise UnreadableFileError(
                "too_large",
                f"{self._rows:,} rows of {len(self.header)} columns are more than "
                f"{caps.max_bytes:,} bytes; split it, or raise PRESAGIO_INTAKE_MAX_BYTES",
            )
        self.match = match_columns(self.header, spec, headers)
        require_columns(self.header, self.match, spec)
        self._check = RowCheck(spec, self.match)
        self.notes: dict[str, str] = {"encoding": "parquet"}
        self.warnings: list[str] = []

    def __iter__(self) -> Iterator[CheckedRows]:
        """Yield the rows of one slice after the other; each row once."""
        for start in range(0, self._rows, _ROWS):
            try:
                cells = self._cells(start)
            except _BROKEN as err:
                raise _broken(err) from err
            yield check_cells(cells, self._check)

    def _cells(self, start: int) -> pl.DataFrame:
        text = self._scan.slice(start, _ROWS).select(pl.all().cast(pl.String).fill_null(""))
        raw = pl.concat_str(pl.all(), separator=",").alias(RAW)
        columns = [pl.col(self.header[i]).alias(name) for i, name in self.match.names.items()]
        columns += [pl.col(self.header[i]).alias(extra_column(i)) for i in self.match.extras]
        lines = pl.int_range(start + 1, start + 1 + pl.len(), dtype=pl.Int64).alias(LINE)
        cells = text.select(*columns, lines, raw)
        if self.match.extras:
            cells = cells.with_columns(extra_cells(self.match))
        return cells.collect()
