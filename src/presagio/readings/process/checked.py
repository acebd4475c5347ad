"""The task that checks a file of readings: what a model takes, and what is wrong with the rest."""

import json
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from presagio.errors import DataError
from presagio.machine.headers import HeaderLimits
from presagio.machine.spec import MachineSpec
from presagio.readings.formats import arrow_stream, parquet
from presagio.readings.formats.csv_text import Csv
from presagio.readings.formats.json_text import JsonList, Ndjson
from presagio.readings.formats.parquet import Parts, as_block
from presagio.readings.rules import LONGEST_VALUE
from presagio.readings.table import ReadingsTable

_ROWS = 50_000
# Of what is echoed at most, in one part.
_ECHOED_BYTES = 16 << 20
_NUMBER_BYTES = 8
Frames = Callable[[ReadingsTable], Iterator[pl.DataFrame]]


class Source(NamedTuple):
    """A file that was opened: names and types of its columns, and how its rows are read."""

    schema: Mapping[str, pl.DataType]
    frames: Frames
    is_json: bool = False


@cache
def _spec(text: str) -> MachineSpec:
    return MachineSpec.model_validate(json.loads(text))


def _open_text(form: str, path: Path, arguments: Mapping[str, Any]) -> Source | None:
    headers = HeaderLimits(**arguments["headers"])
    if form == "csv":
        rows = Csv(path, headers)
        schema = dict.fromkeys(rows.names, pl.String())
        return Source(schema, lambda table: rows.frames(table.columns, table.echoed))
    found: JsonList | Ndjson
    if form == "json":
        found = JsonList(path, headers, arguments["most_rows"])
    else:
        found = Ndjson(path, headers, arguments["line_bytes"])
    if found.is_empty:
        return None
    schema = dict.fromkeys(found.names, pl.String())
    return Source(
        schema, lambda table: found.frames(table.columns, table.texts, table.echoed), is_json=True
    )


def open_source(form: str, path: Path, arguments: Mapping[str, Any]) -> Source | None:
    """Open a file; None for one without readings, whose columns nobody knows.

    Parameters
    ----------
    form
        What kind it is: ``csv``, ``json``, ``ndjson``, ``parquet`` or ``arrow``.
    path
        The file.
    arguments
        ``headers``, the limits of a header; ``line_bytes`` of NDJSON, ``most_rows`` of JSON.

    Raises
    ------
    DataError
        If its header cannot be read.
    """
    if form == "parquet":
        lazy = parquet.scan(path)
        return Source(lazy.collect_schema(), lambda table: parquet.frames(lazy, table.read))
    if form == "arrow":
        schema = arrow_stream.read_schema(path)
        return Source(schema, lambda table: arrow_stream.read_frames(path, table.read))
    return _open_text(form, path, arguments)


def rows_at_once(table: ReadingsTable) -> int:
    """Return how many rows go into a part: fewer where they have much that is echoed."""
    texts = len(table.echoed) * LONGEST_VALUE
    return max(min(_ROWS, _ECHOED_BYTES // texts), 1) if texts else _ROWS


def read_checked(form: str, path: Path, arguments: Mapping[str, Any]) -> Parts:
    """Check a file, a part at a time; ``form`` is what kind it is.

    A part has the inputs of its good rows as float64, row by row; a table of their units and times
    where inputs hang on other rows (``series``); where a row is bad, a table of what is wrong with
    each (``faults``); and a table of the columns that are no inputs (``echoed``).

    Raises
    ------
    DataError
        If the file unpacks to more than it may.
    """
    source = open_source(form, path, arguments)
    if source is None:
        return
    spec = _spec(arguments["spec"])
    headers = HeaderLimits(**arguments["headers"])
    table = ReadingsTable(source.schema, spec, headers, is_json=source.is_json)
    left = arguments["most_bytes"] // (_NUMBER_BYTES * len(spec.input_names))
    for frame in source.frames(table):
        if (left := left - frame.height) < 0:
            raise DataError(f"it unpacks to more than {arguments['most_bytes']:,} bytes")
        for part in frame.iter_slices(rows_at_once(table)):
            checked = table.check(part)
            tables = {
                "series": checked.series, "faults": checked.faults, "echoed": checked.echoed,
            }  # fmt: skip
            found = {name: table for name, table in tables.items() if table is not None}
            blocks = [checked.inputs.tobytes(), *map(as_block, found.values())]
            yield {"rows": part.height, "tables": [*found]}, blocks
