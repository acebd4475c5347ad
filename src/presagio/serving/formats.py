"""Kinds of files that `/predict/batch` takes and gives, read and written a part at a time."""

import csv
import itertools
import json
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pydantic_core
from polars.exceptions import PanicException, PolarsError
from polars.io.plugins import register_io_source

from presagio.errors import DataError
from presagio.readings import arrow_stream
from presagio.serving.readings import FAULT

_ROWS = 50_000
_LINES = 10_000
_LONGEST_HEADER = 1 << 16
_PART_BYTES = 1 << 20
_MORE = "__more"
# Polars panics over some broken files: no Exception, but it goes on well afterwards.
_UNREADABLE = (PolarsError, OSError, PanicException)

# Takes the file and how many rows a JSON list may have.
Reader = Callable[[Path, int], Iterator[pl.DataFrame]]
Writer = Callable[[Iterable[pl.DataFrame]], Iterator[bytes]]


@dataclass(frozen=True)
class Format:
    """A kind of file.

    Attributes
    ----------
    media_type
        As in Content-Type and Accept.
    read
        Yields tables with one header; raises :class:`presagio.errors.DataError` for what is no
        such file. A row that cannot be read has its reason in the column ``__fault``.
    write
        Yields the bytes of a file.
    """

    media_type: str
    read: Reader
    write: Writer


def _header(path: Path) -> tuple[list[str], str]:
    with path.open("rb") as file:
        line = file.readline(_LONGEST_HEADER).decode("utf-8-sig", errors="replace").strip("\r\n")
    if not line.strip():
        raise DataError("the file is empty")
    delimiter = max(",;\t", key=line.count)
    names = [name.strip() for name in next(csv.reader([line], delimiter=delimiter))]
    if len(set(names)) < len(names):
        raise DataError("a column stands in the header twice")
    return names, delimiter


def _read_csv(path: Path, _most_rows: int) -> Iterator[pl.DataFrame]:
    names, delimiter = _header(path)
    # Quotes are taken off later: a line break within them would join rows. A row with too many
    # fields has something in the last column.
    found = pl.scan_csv(
        path,
        has_header=False,
        skip_rows=1,
        separator=delimiter,
        quote_char=None,
        schema=dict.fromkeys([*names, _MORE], pl.String),
        missing_columns="insert",
        truncate_ragged_lines=True,
        encoding="utf8-lossy",
    )
    ragged = pl.when(pl.col(_MORE).is_not_null()).then(pl.lit(f"more than {len(names)} fields"))
    lines = found.with_columns(ragged.alias(FAULT)).drop(_MORE)
    try:
        yield from lines.collect_batches(chunk_size=_ROWS)
    except PolarsError as err:
        raise DataError(f"the file cannot be read as CSV: {err}") from err


def _plain(value: object) -> str | None:
    if value is None or isinstance(value, dict | list):
        return None
    return str(value).lower() if isinstance(value, bool) else str(value)


def _table(values: list[Any]) -> pl.DataFrame:
    """Make a table of decoded JSON values; what is no object is a fault of its row."""
    names = list(dict.fromkeys(k for value in values if isinstance(value, dict) for k in value))
    columns: dict[str, list[str | None]] = {
        name: [_plain(v.get(name)) if isinstance(v, dict) else None for v in values]
        for name in names
        if name != FAULT
    }
    columns[FAULT] = [
        None if isinstance(v, dict) else str(v) if isinstance(v, DataError) else "no JSON object"
        for v in values
    ]
    return pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String))


def _read_json(path: Path, most_rows: int) -> Iterator[pl.DataFrame]:
    try:
        found = pydantic_core.from_json(path.read_bytes())
    except ValueError as err:
        raise DataError(f"the body is no JSON: {err}") from err
    if not isinstance(found, list):
        raise DataError("the body is no JSON list of readings")
    if len(found) > most_rows:
        raise DataError(
            f"the list has {len(found)} readings; at most {most_rows} are taken as JSON, "
            "send more as CSV, NDJSON, Parquet or Arrow"
        )
    values = [value.get("features", value) if isinstance(value, dict) else value for value in found]
    if values:
        yield _table(values)


def _line(raw: bytes) -> Any:
    try:
        return pydantic_core.from_json(raw)
    except ValueError:
        return DataError("no JSON")


def _read_ndjson(path: Path, _most_rows: int) -> Iterator[pl.DataFrame]:
    names: list[str] | None = None
    with path.open("rb") as file:
        while lines := [line for line in file.readlines(_LINES * 200) if line.strip()]:
            names = names or _table([_line(line) for line in lines[:100]]).drop(FAULT).columns
            schema = dict.fromkeys(names, pl.String)
            try:
                table = pl.read_ndjson(b"".join(lines), schema=schema)
            except PolarsError:
                # Some line is wrong: which one is seen line by line.
                table = _table([_line(line) for line in lines])
            missing = [pl.lit(None, pl.String).alias(n) for n in (*names, FAULT) if n not in table]
            yield table.with_columns(missing).select(*names, FAULT)


def _read_parquet(path: Path, _most_rows: int) -> Iterator[pl.DataFrame]:
    try:
        yield from pl.scan_parquet(path).collect_batches(chunk_size=_ROWS)
    except _UNREADABLE as err:
        raise DataError(f"the file cannot be read as Parquet: {err}") from err


def _read_arrow(path: Path, _most_rows: int) -> Iterator[pl.DataFrame]:
    try:
        for frame in arrow_stream.read_frames(path):
            yield from frame.iter_slices(_ROWS)
    except _UNREADABLE as err:
        raise DataError(f"the file cannot be read as an Arrow stream: {err}") from err


def _write_csv(frames: Iterable[pl.DataFrame]) -> Iterator[bytes]:
    for i, frame in enumerate(frames):
        yield frame.write_csv(include_header=i == 0).encode()


def _write_ndjson(frames: Iterable[pl.DataFrame]) -> Iterator[bytes]:
    for frame in frames:
        yield frame.write_ndjson().encode()


def _write_json(frames: Iterable[pl.DataFrame]) -> Iterator[bytes]:
    before = b"["
    for frame in frames:
        for row in frame.iter_rows(named=True):
            yield before + json.dumps(row).encode()
            before = b",\n"
    yield b"[]" if before == b"[" else b"]"


def _write_parquet(frames: Iterable[pl.DataFrame]) -> Iterator[bytes]:
    rest = iter(frames)
    if (first := next(rest, None)) is None:
        return
    # Its index stands at its end, so it is written to a disk before it is sent.
    source = register_io_source(lambda *_: itertools.chain([first], rest), schema=first.schema)
    with tempfile.TemporaryFile(prefix="presagio-answer-") as file:
        source.sink_parquet(file)
        file.seek(0)
        while part := file.read(_PART_BYTES):
            yield part


FORMATS = (
    Format("application/json", _read_json, _write_json),
    Format("text/csv", _read_csv, _write_csv),
    Format("application/x-ndjson", _read_ndjson, _write_ndjson),
    Format("application/vnd.apache.parquet", _read_parquet, _write_parquet),
    Format("application/vnd.apache.arrow.stream", _read_arrow, arrow_stream.write_frames),
)
