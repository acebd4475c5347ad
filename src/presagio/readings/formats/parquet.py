"""Parquet files: the schema first, then the columns that are needed."""

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from presagio.machine.headers import HeaderLimits, check_header
from presagio.readings.formats.cells import CellBounds, as_cells, as_text
from presagio.readings.formats.kinds import is_plain, is_text, is_value

_ROWS = 50_000
Parts = Iterator[tuple[dict[str, Any], list[bytes]]]


def as_block(frame: pl.DataFrame) -> bytes:
    """Write a table as an Arrow stream, for the parent."""
    out = io.BytesIO()
    frame.write_ipc_stream(out)
    return out.getvalue()


def scan(path: Path) -> pl.LazyFrame:
    """Open a file without reading rows."""
    return pl.scan_parquet(path, glob=False, hive_partitioning=False)


def read_schema(path: Path, arguments: Mapping[str, Any]) -> Parts:
    """Tell names and types of the columns and the number of rows, as the file has them."""
    lazy = scan(path)
    schema = lazy.collect_schema()
    check_header(schema.names(), HeaderLimits(**arguments["headers"]))
    about = {
        "names": schema.names(),
        "values": [is_value(kind) for kind in schema.dtypes()],
        "plain": [is_plain(kind) for kind in schema.dtypes()],
        "types": [str(kind.base_type()).lower() for kind in schema.dtypes()],
        "rows": int(lazy.select(pl.len()).collect().item()),
    }
    yield about, []


def frames(lazy: pl.LazyFrame, columns: Mapping[str, str]) -> Iterator[pl.DataFrame]:
    """Yield rows, with only the columns that are wanted: the file's names to new ones."""
    wanted = lazy.select(pl.col(name).alias(new) for name, new in columns.items())
    batches = wanted.collect_batches(chunk_size=_ROWS)
    # A file without rows has no batch.
    first = next(batches, None)
    yield wanted.head(0).collect() if first is None else first
    yield from batches


def read_cells(path: Path, arguments: Mapping[str, Any]) -> Parts:
    """Read columns as cells of text: ``columns`` maps the file's names to those that are wanted."""
    names: dict[str, str] = arguments["columns"]
    lazy = scan(path)
    schema = lazy.collect_schema()
    texts = [names[name] for name in names if is_text(schema[name])]
    bounds = CellBounds(arguments["cell_bytes"], arguments["text_bytes"])
    for frame in frames(lazy, names):
        for part in bounds.bound(as_text(frame), texts):
            yield {"rows": part.height}, [as_block(as_cells(part))]
