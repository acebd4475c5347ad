"""From bytes to records: what was written in each cell, and on which line."""

import csv
import io
from dataclasses import dataclass

from presagio.errors import UnreadableFileError
from presagio.machine.columns import ColumnMatch, match_columns
from presagio.machine.spec import MachineSpec


@dataclass(frozen=True)
class Records:
    """A file's cells as they were written.

    Attributes
    ----------
    match
        How the columns relate to the machine spec.
    rows
        For each data row the number of its last line (from 1) and its cells.
    """

    match: ColumnMatch
    header: tuple[str, ...]
    rows: tuple[tuple[int, tuple[str, ...]], ...]


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as err:
        raise UnreadableFileError(
            "encoding", f"byte {err.start} is not UTF-8; save the file as UTF-8"
        ) from err


def _checked_match(header: list[str], spec: MachineSpec) -> ColumnMatch:
    match = match_columns(header, spec)
    if match.duplicated:
        raise UnreadableFileError(
            "duplicated_columns", f"more than one column says {', '.join(match.duplicated)}"
        )
    if match.missing:
        raise UnreadableFileError(
            "missing_columns",
            f"no column for {', '.join(match.missing)}; the header has {', '.join(header)}",
        )
    return match


def decode_csv(body: bytes, spec: MachineSpec) -> Records:
    """Read a comma-separated file with a header line.

    Parameters
    ----------
    body
        The bytes of the file: UTF-8, with or without a byte order mark.
    spec
        The machine spec that the columns are matched with.

    Returns
    -------
    Records
        Every data row, ragged ones too; blank lines are no rows.

    Raises
    ------
    UnreadableFileError
        If the file as a whole cannot be taken: ``empty``, ``encoding``, ``malformed``,
        ``missing_columns``, ``duplicated_columns``.
    """
    reader = csv.reader(io.StringIO(_text(body), newline=""), strict=True)
    try:
        header = next((cells for cells in reader if cells), None)
        if header is None:
            raise UnreadableFileError("empty", "the file has no header and no rows")
        match = _checked_match(header, spec)
        rows = tuple((reader.line_num, tuple(cells)) for cells in reader if cells)
    except csv.Error as err:
        raise UnreadableFileError("malformed", f"line {reader.line_num}: {err}") from err
    return Records(match, tuple(header), rows)
