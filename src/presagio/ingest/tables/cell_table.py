"""Tables that a reader process has read as cells of text, put through the checks of text files."""

from dataclasses import replace

import polars as pl

from presagio.errors import UnreadableFileError
from presagio.machine.columns import ColumnMatch
from presagio.readings.fault_words import long_cell
from presagio.readings.formats.cells import TOO_LONG
from presagio.readings.marks import MarkEvidence
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


class StoredText:
    """Numbers that a typed file stores as text: whether one of them may be read in two ways.

    What is stored as a number is one, and says nothing of how people wrote the text.

    Parameters
    ----------
    check
        The checks of its rows.
    """

    def __init__(self, check: RowCheck) -> None:
        names, typed = [feature.name for feature in check.features], check.numeric
        self._text = [name for name in names if name not in typed]
        self._typed = [pl.lit("").alias(name) for name in names if name in typed]
        self._evidence = MarkEvidence(check.spec, check.match, allowed=(".",))

    def add(self, cells: pl.DataFrame) -> None:
        """Look at more rows."""
        if self._text:
            texts = pl.col(self._text).fill_null("").str.strip_chars()
            self._evidence.add(cells.select(texts, *self._typed))

    @property
    def fault(self) -> UnreadableFileError | None:
        """Why the file is refused although its rows could be read; once they were."""
        try:
            self._evidence.decide()
        except UnreadableFileError as err:
            return err
        return None


class CellTable:
    """How the cells of one file are checked.

    Parameters
    ----------
    check
        The checks of its rows.
    cell_bytes
        Longest cell.
    """

    def __init__(self, check: RowCheck, cell_bytes: int) -> None:
        self._check, self._cell_bytes = check, cell_bytes

    @property
    def _match(self) -> ColumnMatch:
        return self._check.match

    @property
    def columns(self) -> dict[int, str]:
        """Position of each column in the file → its name in a frame of cells."""
        found = {**self._match.names, **{i: extra_column(i) for i in self._match.extras}}
        return {i: found[i] for i in sorted(found)}

    def checked(self, frame: pl.DataFrame, lines: pl.Series) -> CheckedRows:
        """Check cells by the names of ``columns``, with the number of each row's line."""
        inside = list(self.columns.values())
        cells = frame.with_columns(pl.col(inside).fill_null(""))
        raw = pl.concat_str(inside, separator=",").alias(RAW)
        extras = [extra_cells(self._match)] if self._match.extras else []
        cells = cells.with_columns(lines.alias(LINE), raw, *extras)
        fits = cells[TOO_LONG].is_null()
        checked = check_cells(cells.filter(fits).drop(TOO_LONG), self._check)
        if fits.all():
            return checked
        long = cells.filter(~fits)
        names = {extra_column(i): name for i, name in self._match.extras.items()}
        faults = [
            (row, self._too_long(names.get(name, name))) for row, name in enumerate(long[TOO_LONG])
        ]
        rows = rejected_rows(long[LINE].to_list(), long[RAW].to_list(), faults)
        return replace(checked, rejected=pl.concat([checked.rejected, rows]).sort("line"))

    def _too_long(self, name: str) -> Fault:
        return Fault(name, Reason.TOO_LONG, str(long_cell(name, self._cell_bytes)))
