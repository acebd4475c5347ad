"""What a reader process can do with a file: each task by its name.

A task takes the path of an open file and its arguments, which are plain data, and yields parts:
what there is to say of one, as plain data, and blocks of bytes.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from presagio.readings import parquet

Task = Callable[[Path, Mapping[str, Any]], Iterator[tuple[dict[str, Any], list[bytes]]]]

TASKS: dict[str, Task] = {
    "parquet_schema": parquet.read_schema,
    "parquet_cells": parquet.read_cells,
}
