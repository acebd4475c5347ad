"""How a delimited file is written: its delimiter and its header."""

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from presagio.errors import HeaderLimitError, UnreadableFileError
from presagio.machine.columns import (
    ColumnMatch,
    accepted_spellings,
    match_columns,
    nearest_header,
)
from presagio.machine.headers import HeaderLimits, shown
from presagio.machine.spec import MachineSpec
from presagio.readings.formats.csv_text import DELIMITERS
from presagio.sentences import Count, Listed, Sentence, either

# Excel writes and reads a first line that names the delimiter.
_DELIMITER_HINT = re.compile(r"sep=(.)\s*", re.IGNORECASE)


@dataclass(frozen=True)
class Dialect:
    """How a file is written.

    Attributes
    ----------
    delimiter
        What stands between cells.
    header
        The column names as the file has them.
    match
        How they relate to the machine spec.
    header_lines
        How many lines of the file come before the first row.
    """

    delimiter: str
    header: tuple[str, ...]
    match: ColumnMatch
    header_lines: int


def _first_record(lines: Sequence[str], delimiter: str) -> tuple[list[str], int]:
    reader = csv.reader(iter(lines), delimiter=delimiter)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                return cells, reader.line_num
    except csv.Error as err:
        raise UnreadableFileError(
            "malformed",
            Sentence(
                "line %(line)s, the header, cannot be read: %(why)s",
                {"line": Count(reader.line_num), "why": str(err)},
            ),
        ) from err
    raise UnreadableFileError(
        "empty", Sentence("the file has no header and no rows; nothing was exported")
    )


def _delimiters(lines: Sequence[str]) -> tuple[Iterable[str], int]:
    """Return the delimiters to try, and how many lines to pass over."""
    if lines and (hint := _DELIMITER_HINT.fullmatch(lines[0])):
        return (hint[1],), 1
    return DELIMITERS, 0


def read_dialect(
    lines: Sequence[str], spec: MachineSpec, limits: HeaderLimits | None = None
) -> Dialect:
    """Find delimiter and header: the delimiter is the one that gives most of the spec's columns.

    Parameters
    ----------
    lines
        The first lines of the file with their ends, its whole header at least.
    spec
        The machine spec.
    limits
        What the header may be; the defaults when not given.

    Returns
    -------
    Dialect
        Its match may still lack columns, see :func:`require_columns`.

    Raises
    ------
    UnreadableFileError
        ``empty``, ``malformed``, ``too_many_columns`` or ``name_too_long``.
    """
    candidates, passed = _delimiters(lines)
    found = []
    for delimiter in candidates:
        header, header_lines = _first_record(lines[passed:], delimiter)
        try:
            names = len(match_columns(header, spec, limits).names)
        except HeaderLimitError:
            # With another delimiter it may be in order.
            names = 0
        found.append((names, len(header), delimiter, header, header_lines))
    _, _, delimiter, header, header_lines = max(found, key=lambda it: it[:2])
    match = match_columns(header, spec, limits)
    return Dialect(delimiter, tuple(header), match, passed + header_lines)


def _why_missing(name: str, match: ColumnMatch, spec: MachineSpec) -> Sentence:
    for column, feature in match.misfits.items():
        if feature == name:
            unit = next(f.unit for f in spec.features if f.name == name)
            return Sentence(
                "%(name)s (the file has %(column)s, a unit that cannot be turned into %(unit)s)",
                {"name": name, "column": repr(column), "unit": unit},
            )
    accepted = either(list(map(repr, accepted_spellings(name, spec))))
    near = nearest_header(name, spec, list(match.extras.values()))
    if not near:
        return Sentence("%(name)s (write %(accepted)s)", {"name": name, "accepted": accepted})
    return Sentence(
        "%(name)s (write %(accepted)s; the file has %(near)s)",
        {"name": name, "accepted": accepted, "near": repr(near)},
    )


def require_columns(header: Sequence[str], match: ColumnMatch, spec: MachineSpec) -> None:
    """Refuse a header that lacks columns, or names one twice.

    Raises
    ------
    UnreadableFileError
        ``duplicated_columns``, or ``missing_columns`` with the nearest names in the file.
    """
    if match.duplicated:
        claims: dict[str, list[str]] = {name: [] for name in match.duplicated}
        for i, name in match.names.items():
            if name in claims:
                claims[name].append(repr(header[i]))
        listed = "; ".join(f"{name}: {shown(claimed)}" for name, claimed in claims.items())
        raise UnreadableFileError(
            "duplicated_columns",
            Sentence(
                "more than one column says the same: %(columns)s; keep one of each",
                {"columns": listed},
            ),
        )
    if match.missing:
        lacking = Listed(tuple(_why_missing(name, match, spec) for name in match.missing), "; ")
        listed = ", ".join(header)
        listed = f"{listed[:500]} …" if len(listed) > 500 else listed  # noqa: PLR2004
        raise UnreadableFileError(
            "missing_columns",
            Sentence(
                "no column for %(lacking)s. The header has: %(header)s",
                {"lacking": lacking, "header": listed},
            ),
        )
