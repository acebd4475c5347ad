"""What a reader process can do with a file: each task by its name.

A task takes the path of an open file and its arguments, which are plain data, and yields parts:
what there is to say of one, as plain data, and blocks of bytes.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from presagio.readings.formats import parquet, workbook
from presagio.readings.process import checked


class Task(NamedTuple):
    """A way to read a file, and what such a file is called in messages."""

    run: Callable[[Path, Mapping[str, Any]], Iterator[tuple[dict[str, Any], list[bytes]]]]
    form: str


TASKS = {
    "parquet_schema": Task(parquet.read_schema, "Parquet"),
    "parquet_cells": Task(parquet.read_cells, "Parquet"),
    "workbook_header": Task(workbook.read_header, "a workbook"),
    "workbook_cells": Task(workbook.read_cells, "a workbook"),
} | {
    f"checked_{form}": Task(partial(checked.read_checked, form), name)
    for form, name in (
        ("parquet", "Parquet"), ("arrow", "an Arrow stream"), ("csv", "CSV"), ("json", "JSON"),
        ("ndjson", "NDJSON"),
    )
}  # fmt: skip
