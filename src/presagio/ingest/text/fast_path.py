"""The fast path through a chunk of text: most rows of most files need no second look.

A chunk whose lines all have the header's number of cells, with quotes around every cell or around
none, is parsed straight into numbers. What is not plainly good goes through the slow path, line by
line. The fast path may leave a good row to it; it must never take a row that the slow path would
refuse (property tests compare the two).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
import polars as pl

from presagio.ingest.text.dialect import Dialect
from presagio.readings.plain import PlainRows
from presagio.readings.row_check import EXTRA, RowCheck
from presagio.readings.rows import LINE, RAW, extra_cells, extra_column
from presagio.readings.rules import LONGEST_VALUE

Bytes = np.ndarray[tuple[int], np.dtype[np.uint8]]
Positions = np.ndarray[tuple[int], np.dtype[np.int64]]

_BLOCK = 1 << 17
_LINE_END = ord("\n")
# Flags as numbers: codes are much faster to compare than text.
_BINARY_FLAGS = pl.Enum(["0", "1"])


@dataclass(frozen=True)
class FastRows:
    """What the fast path made of a chunk.

    Attributes
    ----------
    accepted
        Clean rows, and the line of each as ``@line``.
    lines
        How many lines the chunk has.
    doubtful
        Positions of the lines, counted within the chunk, for the slow path.
    """

    accepted: pl.DataFrame
    lines: int
    doubtful: Positions
    _body: bytes
    _ends: Positions

    def parts(self, most: int) -> Iterator[tuple[list[int], list[str]]]:
        """Yield the doubtful lines, a bounded number at a time: their positions and their text."""
        for start in range(0, len(self.doubtful), most):
            positions = self.doubtful[start : start + most].tolist()
            yield positions, _lines(self._body, self._ends, positions)


def _blocks(body: bytes) -> Iterator[tuple[int, Bytes]]:
    """Yield blocks with their positions, so small that what is computed of one stays in cache."""
    whole = np.frombuffer(body, np.uint8)
    for at in range(0, len(whole), _BLOCK):
        yield at, whole[at : at + _BLOCK]


def _line_ends(body: bytes) -> Positions:
    ends = np.concatenate([np.flatnonzero(b == _LINE_END) + at for at, b in _blocks(body)])
    return ends if body.endswith(b"\n") else np.append(ends, len(body))


def _unquoted(body: bytes, dialect: Dialect) -> bytes | None:
    """Take the quotes off where they stand around every cell and nowhere else."""
    if b'"' not in body:
        return body
    width, whole = len(dialect.header), body.removesuffix(b"\n")
    lines = whole.count(b"\n") + 1
    # Each quote belongs to one of these, so none stands within a cell.
    between_cells = whole.count(b'"' + dialect.delimiter.encode() + b'"')
    between_lines = whole.count(b'"\n"')
    if between_cells != lines * (width - 1) or between_lines != lines - 1:
        return None
    if not whole.startswith(b'"') or whole.count(b'"') != 2 * lines * width:
        return None
    return body.replace(b'"', b"")


def _is_plain(text: bytes, ends: Positions, dialect: Dialect) -> bool:
    """Tell whether each line can be split at each delimiter, into the header's number of cells."""
    width = len(dialect.header)
    if width == 1 or b"\r" in text:
        return False
    # No line may have more (Polars refuses it), so with this sum none has fewer.
    mark = ord(dialect.delimiter)
    delimiters = sum(int(np.count_nonzero(block == mark)) for _, block in _blocks(text))
    return delimiters == len(ends) * (width - 1)


def _lines(body: bytes, ends: Positions, positions: Sequence[int]) -> list[str]:
    return [body[ends[i - 1] + 1 if i else 0 : ends[i]].decode() for i in positions]


def _flag_names(check: RowCheck) -> list[str]:
    spec = check.spec
    names = [name for name in spec.label_names if check.has(name)]
    for category in spec.categories:
        names += [] if check.has(category.name) else category.indicators.values()
    return names


def _with_words(check: RowCheck) -> list[str]:
    labels = [label for label in check.spec.labels if label.true_words or label.false_words]
    return [label.name for label in labels if check.has(label.name)]


def _types(
    first: bytes, dialect: Dialect, check: RowCheck
) -> dict[str, pl.DataType | type[pl.DataType]]:
    """Return what each column is parsed as; what does not fit becomes null.

    Whether a column of flags has words or 0 and 1 is taken from the first line.
    """
    names = [check.match.names.get(i, extra_column(i)) for i in range(len(dialect.header))]
    cells = dict(zip(names, first.decode().split(dialect.delimiter), strict=False))
    types: dict[str, pl.DataType | type[pl.DataType]] = {
        name: _BINARY_FLAGS if cells.get(name) in _BINARY_FLAGS.categories else pl.Boolean
        for name in _flag_names(check)
    }
    types |= {category.name: pl.Enum(category.values) for category in check.spec.categories}
    types |= dict.fromkeys(check.spec.feature_names, pl.Float64)
    # As a number, a cell that is none could not be told from an empty one, which these may be.
    types |= dict.fromkeys(check.spec.optional_names, pl.String)
    types |= dict.fromkeys(_with_words(check), pl.String)
    return {name: types.get(name, pl.String) for name in names}


def _parsed(body: bytes, line: int, dialect: Dialect, check: RowCheck) -> pl.DataFrame | None:
    types = _types(BytesIO(body).readline().rstrip(b"\n"), dialect, check)
    try:
        frame = pl.read_csv(
            body, has_header=False, schema=types, separator=dialect.delimiter,
            quote_char=None, decimal_comma=check.mark == ",", empty_string_is_null=False,
            ignore_errors=True,
        )  # fmt: skip
    except (pl.exceptions.ComputeError, pl.exceptions.SchemaError):
        return None
    converted = [pl.col(n).to_physical() == 1 for n, t in types.items() if t == _BINARY_FLAGS]
    if check.match.extras:
        converted.append(extra_cells(check.match))
    if check.mark != ".":
        converted += [
            pl.col(name).str.replace(check.mark, ".", literal=True)
            for name in check.spec.optional_names if check.has(name)
        ]  # fmt: skip
    lines = pl.int_range(line, line + pl.len(), dtype=pl.Int64).alias(LINE)
    return frame.with_columns(lines, *converted)


def _text_is_plain(check: RowCheck) -> pl.Expr:
    """Tell where text that is kept has no white space around it, which the slow path takes off."""
    texts = [pl.col(name) for name in check.kept_text if name != EXTRA]
    return pl.all_horizontal(
        pl.lit(value=True), *(text == text.str.strip_chars() for text in texts)
    )


def _values_are_short(frame: pl.DataFrame, ends: Positions, check: RowCheck) -> pl.Expr:
    """Tell which lines have no value that is longer than one may be."""
    lengths = np.diff(ends, prepend=-1)
    if lengths.max(initial=0) <= LONGEST_VALUE:
        return pl.lit(value=True)
    values = {*check.value_names, EXTRA, RAW}
    texts = [n for n, kind in frame.schema.items() if kind == pl.String and n not in values]
    rest = [pl.col(name).str.len_bytes().cast(pl.Int64) for name in texts]
    lines = pl.lit(pl.Series(lengths[: len(frame)]))
    return lines - pl.sum_horizontal(pl.lit(0), *rest) <= LONGEST_VALUE


def fast_check(
    body: bytes, line: int, dialect: Dialect, check: RowCheck, *, keep_raw: bool = False
) -> FastRows | None:
    """Take the rows of a chunk that are plainly in order.

    Parameters
    ----------
    body
        Whole lines of UTF-8.
    line
        The number of the first.
    dialect, check
        How the file is written, and its checks.
    keep_raw
        Whether the raw text of accepted rows is wanted, as ``@raw``.

    Returns
    -------
    FastRows or None
        None where the chunk as a whole is for the slow path.
    """
    text, ends = _unquoted(body, dialect), _line_ends(body)
    if text is None or not _is_plain(text, ends, dialect):
        return None
    # Polars would take a point for decimals, too.
    if check.mark == "," and b"." in text:
        return None
    frame = _parsed(text, line, dialect, check)
    if frame is None:
        return None
    if keep_raw:
        frame = frame.with_columns(pl.Series(RAW, body.decode().split("\n")[: len(frame)]))
    plain = PlainRows(check, frame.schema)
    rows = plain.values(frame)
    good = plain.good & _text_is_plain(check) & _values_are_short(frame, ends, check)
    clean = rows.select(good).to_series()
    kept = [*check.kept_text, *plain.names, LINE, *([RAW] if keep_raw else [])]
    accepted = rows.filter(clean).select(kept)
    doubtful = (~clean).arg_true().to_numpy().astype(np.int64)
    return FastRows(accepted, len(ends), doubtful, body, ends)


def text_cells(body: bytes, dialect: Dialect, columns: Mapping[int, str]) -> pl.DataFrame | None:
    """Read some columns of a chunk of whole lines as stripped text, by position and name.

    Returns
    -------
    DataFrame or None
        None where the chunk has to be read line by line.
    """
    text, ends = _unquoted(body, dialect), _line_ends(body)
    if text is None or not _is_plain(text, ends, dialect):
        return None
    names = [columns.get(i, extra_column(i)) for i in range(len(dialect.header))]
    try:
        frame = pl.read_csv(
            text, has_header=False, schema=dict.fromkeys(names, pl.String), quote_char=None,
            separator=dialect.delimiter, empty_string_is_null=False,
            columns=list(columns),
        )  # fmt: skip
    except (pl.exceptions.ComputeError, pl.exceptions.SchemaError):
        return None
    return frame.with_columns(pl.all().str.strip_chars())
