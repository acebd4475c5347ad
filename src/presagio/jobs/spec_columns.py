"""What the columns of files of readings seem to be: proposals for a machine spec."""

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import polars as pl

from presagio.errors import DataError
from presagio.machine.columns import fold
from presagio.machine.units import split_header
from presagio.readings.numerals import MARKS
from presagio.readings.text_values import number_in

Role = Literal["feature", "flag", "category", "identifier", "date", "nothing"]
# Words that mean that a value is missing in files that people export.
MISSING_WORDS = ("na", "n/a", "nan", "null", "none", "nil", "-", "--", "?", "#n/a")
_LABEL = re.compile(
    "fail|fault|target|label|class|defect|broken|breakdown|alarm|outcome", re.IGNORECASE
)
_UNIT = re.compile(
    r"serial|unit|machine|asset|device|udi|^id$|_id$|\bid\b|number$|name$", re.IGNORECASE
)
_DATE = re.compile("date|time|stamp|cycle", re.IGNORECASE)
_ROWS = 100_000
_DELIMITERS = ",;\t|"
_MOST_VALUES = 20
_LONGEST_VALUE = 60
_HEAVY_TAIL = 100.0
_BINARY = 2


@dataclass
class DraftColumn:
    """One column of the files, and what it seems to be.

    Attributes
    ----------
    header
        As it stands in the files.
    role
        What it seems to be: ``flag`` has two values, and may be a label.
    values
        Known distinct values of a flag or category, the most common first.
    seen
        Smallest and largest number.
    missing
        Share of the rows in which it is missing.
    is_number
        Whether it holds nothing but numbers.
    notes
        What whoever reads the draft should know.
    """

    header: str
    role: Role
    values: tuple[str, ...] = ()
    seen: tuple[float, float] = (0.0, 0.0)
    median: float = 0.0
    heavy_tail: bool = False
    missing: float = 0.0
    is_number: bool = False
    notes: list[str] = field(default_factory=list)

    @property
    def like_a_label(self) -> bool:
        """Whether it is called as labels are."""
        return self.role == "flag" and _LABEL.search(self.header) is not None

    @property
    def like_a_count(self) -> bool:
        """Whether it is called as what counts is: a date, or cycles."""
        return self.is_number and _DATE.search(self.header) is not None


def _read(path: Path) -> pl.DataFrame:
    try:
        if path.suffix == ".parquet":
            return pl.scan_parquet(path).head(_ROWS).collect().cast(pl.String)
        with path.open("rb") as file:
            # Compressed or not, the first bytes of the table as Polars reads it.
            line = pl.read_csv(file, has_header=False, n_rows=1, separator="\x01").item(0, 0)
        delimiter = max(_DELIMITERS, key=str(line).count)
        return pl.read_csv(
            path, separator=delimiter, infer_schema=False, n_rows=_ROWS, encoding="utf8-lossy"
        )
    except (OSError, pl.exceptions.PolarsError, ValueError) as err:
        raise DataError(f"{path} cannot be read as a table: {err}") from err


def read_tables(files: Sequence[Path]) -> pl.DataFrame:
    """Read the first rows of files as one table of stripped text; empty where there is nothing.

    Raises
    ------
    DataError
        If a file is no table, or there are no rows.
    """
    frames = [_read(path) for path in files]
    frame = pl.concat(frames, how="diagonal").with_columns(pl.all().fill_null("").str.strip_chars())
    if frame.is_empty():
        raise DataError(f"{files[0]} has no rows")
    return frame


def distinct(headers: Sequence[str]) -> list[str]:
    """Return headers that differ by more than case and white space: one of each is looked at."""
    seen: dict[str, str] = {}
    for header in headers:
        seen.setdefault(fold(header), header)
    return [header for folded, header in seen.items() if folded]


def missing_words(frame: pl.DataFrame) -> tuple[str, ...]:
    """Return the words of :data:`MISSING_WORDS` that stand in cells by themselves."""
    cells = pl.concat([frame[name].str.to_lowercase().rename("cell") for name in frame.columns])
    return tuple(text for text in MISSING_WORDS if (cells == text).any())


def as_numbers(text: pl.Series) -> pl.Series:
    """Return a column as numbers, null where a cell is none, by the mark that suits most cells."""
    found = [text.to_frame("t").select(number_in(pl.col("t"), mark)).to_series() for mark in MARKS]
    return min(found, key=lambda numbers: numbers.null_count())


def propose_column(text: pl.Series) -> DraftColumn:
    """Say what a column of stripped text seems to be."""
    known = text.filter(~text.str.to_lowercase().is_in(["", *MISSING_WORDS]))
    gaps = 1.0 - len(known) / max(len(text), 1)
    counts = known.value_counts(sort=True)[known.name]
    column = DraftColumn(text.name, "nothing", missing=gaps)
    if len(counts) <= 1:
        column.notes.append("it says nothing: one value at most")
        return column
    numbers = as_numbers(known)
    if not numbers.null_count():
        return _numeric(column, numbers, counts, len(text))
    if _dates(known):
        column.role = "date"
    elif _few(counts, len(known)) and not _numbered_units(column.header, counts):
        column.values = tuple(counts.to_list())
        column.role = "flag" if len(counts) == _BINARY else "category"
    else:
        column.role = "identifier"
    return column


def _numbered_units(header: str, values: pl.Series) -> bool:
    """Tell whether few values are units and no kinds: so called, each with a number in it."""
    return _UNIT.search(header) is not None and bool(values.str.contains(r"\d").all())


def _few(counts: pl.Series, rows: int) -> bool:
    short = counts.str.len_chars().max()
    return (
        len(counts) <= min(_MOST_VALUES, max(rows // 3, _BINARY))
        and isinstance(short, int) and short <= _LONGEST_VALUE
    )  # fmt: skip


def _dates(known: pl.Series) -> bool:
    if not known.head(100).str.contains(r"^\d{4}-\d{2}-\d{2}([T ]|$)").all():
        return False
    return not known.str.slice(0, 10).str.to_date(strict=False).has_nulls()


def _numeric(column: DraftColumn, numbers: pl.Series, counts: pl.Series, rows: int) -> DraftColumn:
    low, high = float(numbers.min()), float(numbers.max())  # type: ignore[arg-type]
    column.is_number = True
    column.seen, column.median = (low, high), float(numbers.median())  # type: ignore[arg-type]
    tail = float(numbers.quantile(0.99) or 0.0)
    column.heavy_tail = low >= 0 and max(tail, high / 10) > _HEAVY_TAIL * (column.median + 1)
    whole = (numbers == numbers.round()).all()
    if set(numbers.unique()) == {0.0, 1.0}:
        column.role, column.values = "flag", tuple(counts.to_list())
    elif _DATE.search(column.header) and numbers.is_sorted() and whole:
        column.role = "date"
    elif whole and (_UNIT.search(column.header) or len(counts) == rows > _MOST_VALUES):
        column.role = "identifier"
    else:
        column.role = "feature"
    return column


class Names:
    """Gives each column a name of its own, which no other column's header is either.

    Parameters
    ----------
    headers
        Of all columns.
    """

    def __init__(self, headers: Sequence[str]) -> None:
        self._headers = {fold(header) for header in headers}
        self._taken: set[str] = set()

    def name(self, header: str, *, beside: str = "") -> str:
        """Return a name made of a header, without the unit that stands in brackets there."""
        folded = fold(header)
        spellings = _spellings(f"{beside}_{header}" if beside else header)
        others = self._headers if beside else self._headers - {folded}
        name = next(found for found in spellings if self._is_free(found, others))
        self._taken |= _family(name)
        return name

    def _is_free(self, name: str, others: set[str]) -> bool:
        return name not in others and not _family(name) & self._taken


def _family(name: str) -> set[str]:
    """Return a name with those that a machine spec makes of it."""
    return {name, f"missing_{name}", f"log_{name}"}


def _spellings(text: str) -> Iterator[str]:
    name, unit = split_header(text)
    base = re.sub(r"[^a-z0-9]+", "_", f"{name} {unit or ''}".lower()).strip("_")[:60]
    base = base if re.match(r"[a-z]", base) else f"column_{base}".rstrip("_")
    yield base
    yield from (f"{base}_{number}" for number in itertools.count(2))
