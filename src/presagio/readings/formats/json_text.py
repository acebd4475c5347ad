"""NDJSON and JSON lists as tables: the keys first, then those that are needed.

Values are what they are in JSON: text that holds a number is no number here, and keeps its quotes
where it stands in a table of text.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import polars as pl
from polars.exceptions import PolarsError

from presagio.errors import DataError
from presagio.machine.headers import HeaderLimits, check_header
from presagio.readings.formats.cells import FAULT, REASON
from presagio.readings.formats.json_values import (
    NoReading,
    cell,
    decode_line,
    decode_object,
    fault_of,
    reading_in,
)
from presagio.readings.rules import Reason

_LINES_BYTES = 2 << 20
_HEADER_LINES = 100


def _table(
    values: Sequence[Any], columns: Mapping[str, str], texts: Collection[str],
    echoed: Mapping[str, str],
) -> pl.DataFrame:  # fmt: skip
    """Make a table of decoded JSON values; what is no object is a fault of its row."""
    found = {
        new: [
            cell(v.get(name), is_text=new in texts or name in echoed)
            if isinstance(v, dict)
            else None
            for v in values
        ]
        for name, new in {**columns, **echoed}.items()
    }
    faults = [fault_of(value, columns) for value in values]
    found[FAULT] = [fault and fault.message for fault in faults]
    found[REASON] = [fault and str(fault.reason) for fault in faults]
    return pl.DataFrame(found, schema=dict.fromkeys(found, pl.String))


def _keys(values: Sequence[Any], headers: HeaderLimits) -> list[str]:
    """Return all keys of decoded objects, in order; refuse more of them than a header may have."""
    names: dict[str, None] = {}
    for value in values:
        if isinstance(value, dict):
            names |= dict.fromkeys(value)
            check_header(names, headers)
    return list(names)


class JsonList:
    """A JSON list of readings, each by itself or within ``features``.

    Raises
    ------
    DataError
        If it is none, or has more readings than may be sent so.
    """

    def __init__(self, path: Path, headers: HeaderLimits, most_rows: int) -> None:
        try:
            found = json.loads(path.read_bytes().decode(), object_pairs_hook=decode_object)
        except (ValueError, RecursionError) as err:
            raise DataError(f"the body is no JSON: {err}") from err
        if not isinstance(found, list):
            raise DataError("the body is no JSON list of readings")
        if len(found) > most_rows:
            raise DataError(
                f"the list has {len(found)} readings; at most {most_rows} are taken as JSON, "
                "send more as CSV, NDJSON, Parquet or Arrow"
            )
        self._values = [reading_in(value) for value in found]
        self.is_empty = not found
        self.names = _keys(self._values, headers)

    def frames(
        self, columns: Mapping[str, str], texts: Collection[str], echoed: Mapping[str, str]
    ) -> Iterator[pl.DataFrame]:
        """Yield the readings.

        Parameters
        ----------
        columns
            Keys, and the names that are wanted for them.
        texts
            Those of the names whose values are text.
        echoed
            Keys besides whose values are no readings, and the names that are wanted for them.
        """
        if self._values:
            yield _table(self._values, columns, texts, echoed)


class _Block(NamedTuple):
    """Whole lines, some at a time; of a last one that is too long only the beginning is held."""

    raw: bytes
    is_cut: bool

    def has_longer_line(self, most_bytes: int) -> bool:
        """Tell whether a line is longer; without a look at each."""
        start = 0
        while len(self.raw) - start > most_bytes:
            end = self.raw.rfind(b"\n", start, start + most_bytes + 1)
            if end < 0:
                return True
            start = end + 1
        return self.is_cut

    def lines(self, most_bytes: int) -> list[bytes | None]:
        """Return the lines that are not blank; None for one that is longer."""
        lines: list[bytes | None] = [*self.raw.split(b"\n")]
        if self.is_cut:
            lines[-1] = None
        lines = [None if line and len(line) > most_bytes else line for line in lines]
        return [line for line in lines if line is None or line.strip()]


def _blocks(file: BinaryIO, most_bytes: int) -> Iterator[_Block]:
    while raw := file.read(_LINES_BYTES):
        raw += file.readline(most_bytes)
        yield _Block(raw, not raw.endswith(b"\n") and _pass_over(file))


def _pass_over(file: BinaryIO) -> bool:
    """Go to the end of the line; tell whether there was more of it."""
    more = False
    while rest := file.readline(_LINES_BYTES):
        more = True
        if rest.endswith(b"\n"):
            break
    return more


class Ndjson:
    """Readings as JSON, one a line.

    The keys of the first lines are the header: what only later lines have is left out.
    """

    def __init__(self, path: Path, headers: HeaderLimits, line_bytes: int) -> None:
        self._path, self._most = path, line_bytes
        with path.open("rb") as file:
            block = next(_blocks(file, line_bytes), _Block(b"", is_cut=False))
        first = block.lines(line_bytes)[:_HEADER_LINES]
        self.names = _keys([self._value(line) for line in first], headers)
        self.is_empty = not first

    def _value(self, line: bytes | None) -> Any:
        if line is None:
            return NoReading(Reason.TOO_LONG, f"the line is longer than {self._most:,} bytes")
        return decode_line(line)

    def frames(
        self, columns: Mapping[str, str], texts: Collection[str], echoed: Mapping[str, str]
    ) -> Iterator[pl.DataFrame]:
        """Yield the readings; arguments as of :meth:`JsonList.frames`."""
        with self._path.open("rb") as file:
            for block in _blocks(file, self._most):
                table = self._at_once(block, columns, texts, echoed)
                if table is None and (lines := block.lines(self._most)):
                    values = [self._value(line) for line in lines]
                    table = _table(values, columns, texts, echoed)
                if table is not None:
                    yield table

    def _at_once(
        self, block: _Block, columns: Mapping[str, str], texts: Collection[str],
        echoed: Mapping[str, str],
    ) -> pl.DataFrame | None:  # fmt: skip
        """Read lines at once where each has each key once, with a number or a text as is wanted."""
        raw = block.raw
        lines = raw.count(b"\n") + (not raw.endswith(b"\n"))
        # A key may be written with an escape; then it does not stand there as it reads.
        if b"\\" in raw or block.has_longer_line(self._most):
            return None
        names = (json.dumps(name, ensure_ascii=False).encode() for name in columns)
        if any(raw.count(name) != lines for name in names):
            return None
        kinds = self._types(raw, columns, texts) | dict.fromkeys(echoed, pl.String)
        try:
            table = pl.read_ndjson(raw, schema=kinds)
        except PolarsError:
            return None
        # Each key stands there as often as there are lines: once in each, if none is without it.
        if table.height != lines or any(table.select(list(columns)).null_count().row(0)):
            return None
        return table.rename({**columns, **echoed}).with_columns(
            pl.lit(None, pl.String).alias(FAULT), pl.lit(None, pl.String).alias(REASON)
        )

    def _types(
        self, raw: bytes, columns: Mapping[str, str], texts: Collection[str]
    ) -> dict[str, type[pl.DataType]]:
        """Return the types of the columns, as the first line has them: a number, or a boolean."""
        first = self._value(raw[: raw.find(b"\n")] if b"\n" in raw else raw)
        values = first if isinstance(first, dict) else {}
        return {
            name: pl.String
            if new in texts
            else pl.Boolean
            if isinstance(values.get(name), bool)
            else pl.Float64
            for name, new in columns.items()
        }
