"""NDJSON and JSON lists as tables of text: the keys first, then those that are needed."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import polars as pl
import pydantic_core
from polars.exceptions import PolarsError

from presagio.errors import DataError
from presagio.machine.headers import HeaderLimits, check_header
from presagio.readings.formats.cells import FAULT

_LINES_BYTES = 2 << 20
_HEADER_LINES = 100


class _NoReading:
    """What stands where a reading should, in words."""

    def __init__(self, fault: str) -> None:
        self.fault = fault


class _Repeated(dict[str, Any]):
    """An object of JSON with keys that stand there twice: nobody knows which value is meant."""

    keys_twice: frozenset[str] = frozenset()

    def fault(self, names: Iterable[str]) -> str | None:
        """Say which of the keys that are needed stands there twice, if one does."""
        twice = next((name for name in names if name in self.keys_twice), None)
        return f"the key {twice} stands there twice" if twice else None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) == len(pairs):
        return made
    repeated = _Repeated(made)
    counts = Counter(key for key, _ in pairs)
    repeated.keys_twice = frozenset(key for key, count in counts.items() if count > 1)
    return repeated


def _line(raw: bytes) -> Any:
    try:
        # Faster, but takes the last one of keys that stand there twice.
        found = pydantic_core.from_json(raw)
        if isinstance(found, dict) and _may_repeat_keys(raw, found):
            found = json.loads(raw.decode(), object_pairs_hook=_object)
    except (ValueError, RecursionError):
        return _NoReading("no JSON")
    return found


def _may_repeat_keys(raw: bytes, found: Mapping[str, Any]) -> bool:
    # Each key is followed by a colon; one within a text costs a closer look, no more.
    return raw.count(b":") > len(found)


def _plain(value: object) -> str | None:
    if value is None or isinstance(value, dict | list | _NoReading):
        return None
    if isinstance(value, bool):
        return str(value).lower()
    try:
        text = str(value)
    except ValueError:
        # An integer of more digits than Python turns into text.
        return "a huge number"
    # Half of a pair of surrogates is no character.
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _fault(value: object, names: Iterable[str]) -> str | None:
    if isinstance(value, _Repeated):
        return value.fault(names)
    if isinstance(value, dict):
        return None
    return value.fault if isinstance(value, _NoReading) else "no JSON object"


def _table(values: Sequence[Any], columns: Mapping[str, str]) -> pl.DataFrame:
    """Make a table of decoded JSON values; what is no object is a fault of its row."""
    found = {
        own: [_plain(v.get(name)) if isinstance(v, dict) else None for v in values]
        for name, own in columns.items()
    }
    found[FAULT] = [_fault(value, columns) for value in values]
    return pl.DataFrame(found, schema=dict.fromkeys(found, pl.String))


def _reading(value: Any) -> Any:
    """Return the reading of a JSON list's item, which may stand within a request."""
    if isinstance(value, _Repeated) and (fault := value.fault(["features"])):
        return _NoReading(fault)
    return value.get("features", value) if isinstance(value, dict) else value


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
            found = json.loads(path.read_bytes().decode(), object_pairs_hook=_object)
        except (ValueError, RecursionError) as err:
            raise DataError(f"the body is no JSON: {err}") from err
        if not isinstance(found, list):
            raise DataError("the body is no JSON list of readings")
        if len(found) > most_rows:
            raise DataError(
                f"the list has {len(found)} readings; at most {most_rows} are taken as JSON, "
                "send more as CSV, NDJSON, Parquet or Arrow"
            )
        self._values = [_reading(value) for value in found]
        self.is_empty = not found
        self.names = _keys(self._values, headers)

    def frames(self, columns: Mapping[str, str]) -> Iterator[pl.DataFrame]:
        """Yield the readings; ``columns`` maps keys to the names that are wanted."""
        if self._values:
            yield _table(self._values, columns)


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
            return _NoReading(f"the line is longer than {self._most:,} bytes")
        return _line(line)

    def frames(self, columns: Mapping[str, str]) -> Iterator[pl.DataFrame]:
        """Yield the readings; ``columns`` maps keys to the names that are wanted."""
        with self._path.open("rb") as file:
            for block in _blocks(file, self._most):
                table = self._quickly(block, columns)
                if table is None and (lines := block.lines(self._most)):
                    table = _table([self._value(line) for line in lines], columns)
                if table is not None:
                    yield table

    def _quickly(self, block: _Block, columns: Mapping[str, str]) -> pl.DataFrame | None:
        """Read lines in one go, where each has each key once; else they are read one by one."""
        raw = block.raw
        lines = raw.count(b"\n") + (not raw.endswith(b"\n"))
        # A key may be written with an escape; then it does not stand there as it reads.
        if b"\\" in raw or block.has_longer_line(self._most):
            return None
        names = (json.dumps(name, ensure_ascii=False).encode() for name in columns)
        if any(raw.count(name) != lines for name in names):
            return None
        try:
            table = pl.read_ndjson(raw, schema=dict.fromkeys(columns, pl.String))
        except PolarsError:
            return None
        # Each key stands there as often as there are lines: once in each, if none is without it.
        if table.height != lines or any(table.null_count().row(0)):
            return None
        return table.rename(dict(columns)).with_columns(pl.lit(None, pl.String).alias(FAULT))
