"""Kinds of files that `/predict/batch` takes and gives, read and written a part at a time."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pydantic_core
from polars.exceptions import PolarsError

from presagio.errors import DataError
from presagio.serving.readings import FAULT

_ROWS = 50_000
_LINES = 10_000
_LONGEST_HEADER = 1 << 16
_MORE = "__more"

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
    except (PolarsError, OSError) as err:
        raise DataError(f"the file cannot be read as Parquet: {err}") from err


def _read_arrow(path: Path, _most_rows: int) -> Iterator[pl.DataFrame]:
    import pyarrow as pa  # noqa: PLC0415 - 40 MiB, for those who send this

    try:
        with path.open("rb") as file, pa.ipc.open_stream(file) as stream:
            for batch in stream:
                frame = pl.DataFrame(pl.from_arrow(batch))
                for start in range(0, frame.height, _ROWS):
                    yield frame.slice(start, _ROWS)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OSError, PolarsError) as err:
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


class _Drain(io.RawIOBase):
    """What was written since it was last asked."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._written = 0

    def writable(self) -> bool:
        return True

    def write(self, part: Any) -> int:
        self._parts.append(bytes(part))
        self._written += len(part)
        return len(part)

    def tell(self) -> int:
        return self._written

    def taken(self) -> bytes:
        found = b"".join(self._parts)
        self._parts.clear()
        return found


def _write_tables(
    frames: Iterable[pl.DataFrame], open_writer: Callable[[Any, Any], Any]
) -> Iterator[bytes]:
    """Yield what a writer of Arrow tables makes of them; it is opened with sink and schema."""
    sink, writer = _Drain(), None
    for frame in frames:
        table = frame.to_arrow()
        writer = writer or open_writer(sink, table.schema)
        writer.write_table(table)
        yield sink.taken()
    if writer is not None:
        writer.close()
    yield sink.taken()


def _write_parquet(frames: Iterable[pl.DataFrame]) -> Iterator[bytes]:
    import pyarrow.parquet as pq  # noqa: PLC0415 - see _read_arrow

    return _write_tables(frames, partial(pq.ParquetWriter, compression="zstd"))


def _write_arrow(frames: Iterable[pl.DataFrame]) -> Iterator[bytes]:
    import pyarrow as pa  # noqa: PLC0415 - see _read_arrow

    return _write_tables(frames, pa.ipc.new_stream)


FORMATS = (
    Format("application/json", _read_json, _write_json),
    Format("text/csv", _read_csv, _write_csv),
    Format("application/x-ndjson", _read_ndjson, _write_ndjson),
    Format("application/vnd.apache.parquet", _read_parquet, _write_parquet),
    Format("application/vnd.apache.arrow.stream", _read_arrow, _write_arrow),
)
