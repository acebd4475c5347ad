"""The files that come of one object, written beside each other before anything is stored."""

import hashlib
import json
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from presagio.machine.spec import MachineSpec
from presagio.readings.instants import time_type
from presagio.readings.row_check import EXTRA
from presagio.readings.rows import CheckedRows

# Rows in one file of the curated data set, and what is held of them in memory at once.
_PART_ROWS = 500_000
_PART_BYTES = 64 << 20
# Polars' own choice of 1,024 rows at a time is a third slower.
_CSV_BATCH = 8192
# A spreadsheet takes a cell that begins so for a formula, unless it is a number.
_FORMULA = r"^[=+\-@\t\r]"
_NUMBER = r"^[+-]?[0-9]*[.,]?[0-9]*([eE][+-]?[0-9]+)?$"
RECEIPT = "receipt_id"
# ISO 8601; all times are of UTC.
_TIME = "%Y-%m-%dT%H:%M:%S%.fZ"


def without_formula(column: str) -> pl.Expr:
    """Put an apostrophe before text that a spreadsheet would take for a formula."""
    text = pl.col(column)
    is_formula = text.str.contains(_FORMULA) & ~text.str.contains(_NUMBER)
    return pl.when(is_formula).then(pl.concat_str(pl.lit("'"), text)).otherwise(text).alias(column)


def curated_schema(spec: MachineSpec) -> pl.Schema:
    """Return the columns of the curated data set, the same for every file.

    Identifiers and labels that a file lacks are null; ``extra`` is a JSON object of the columns
    that the spec does not know.
    """
    columns: dict[str, pl.DataType] = {RECEIPT: pl.Int64()}
    columns |= {column.name: pl.String() for column in spec.kept_columns}
    if spec.time is not None:
        columns[spec.time.name] = time_type(spec.time)
    columns |= {name: pl.Float64() for name in spec.feature_names}
    columns |= {name: pl.Boolean() for name in (*spec.indicator_names, *spec.label_names)}
    return pl.Schema(columns | {EXTRA: pl.String()})


def _curated(rows: pl.DataFrame, receipt_id: int, spec: MachineSpec) -> pl.DataFrame:
    known = rows.with_columns(pl.lit(receipt_id, dtype=pl.Int64).alias(RECEIPT))
    return known.select(
        pl.col(name) if name in known.columns else pl.lit(None, dtype=dtype).alias(name)
        for name, dtype in curated_schema(spec).items()
    )


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class Written:
    """Files that wait to be stored; the clean rows as CSV, and as Parquet in parts."""

    clean: Path
    rejected: Path
    curated: tuple[Path, ...]


class OutputWriter:
    """Writes the rows of one object into a folder, chunk by chunk.

    A part of the curated rows ends with the chunk that brings it to ``part_rows``, or to
    ``part_bytes`` in memory.
    """

    def __init__(
        self, folder: Path, receipt_id: int, spec: MachineSpec, *, part_rows: int = _PART_ROWS,
        part_bytes: int = _PART_BYTES,
    ) -> None:  # fmt: skip
        self._folder, self._receipt_id, self._spec = folder, receipt_id, spec
        self._part_rows, self._part_bytes = part_rows, part_bytes
        with ExitStack() as stack:
            self._clean = stack.enter_context((folder / "clean.csv").open("wb"))
            self._rejected = stack.enter_context((folder / "rejected.csv").open("wb"))
            # Both stay open, or neither does where one cannot be opened or closed.
            self._files = stack.pop_all()
        self._waiting: list[pl.DataFrame] = []
        self._waiting_bytes = 0
        self._parts: list[Path] = []

    def add(self, rows: CheckedRows) -> None:
        """Write a chunk."""
        self._add_clean(rows.accepted)
        self._add_rejected(rows.rejected)
        if len(rows.accepted):
            self._waiting.append(_curated(rows.accepted, self._receipt_id, self._spec))
            self._waiting_bytes += int(self._waiting[-1].estimated_size())
        rows_waiting = sum(map(len, self._waiting))
        if rows_waiting >= self._part_rows or self._waiting_bytes >= self._part_bytes:
            self._write_part()

    def _add_clean(self, rows: pl.DataFrame) -> None:
        texts = [name for name, dtype in rows.schema.items() if dtype == pl.String]
        safe = rows.drop(EXTRA, strict=False).with_columns(
            without_formula(name) for name in texts if name != EXTRA
        )
        safe.write_csv(
            self._clean, include_header=self._clean.tell() == 0, batch_size=_CSV_BATCH,
            datetime_format=_TIME,
        )  # fmt: skip

    def _add_rejected(self, rows: pl.DataFrame) -> None:
        fault = pl.col("faults").list
        rejected = rows.select(
            "line",
            fault.eval(pl.element().struct.field("column")).list.join(" | ").alias("columns"),
            fault.eval(pl.element().struct.field("reason")).list.join(" | ").alias("reasons"),
            fault.eval(pl.element().struct.field("message")).list.join(" | ").alias("faults"),
            without_formula("raw"),
        )
        rejected.write_csv(self._rejected, include_header=self._rejected.tell() == 0)

    def _write_part(self) -> None:
        path = self._folder / f"part-{len(self._parts)}.parquet"
        pl.concat(self._waiting).write_parquet(path)
        self._parts.append(path)
        self._waiting, self._waiting_bytes = [], 0

    def finish(self) -> Written:
        """Close the files."""
        if self._waiting:
            self._write_part()
        self.close()
        return Written(Path(self._clean.name), Path(self._rejected.name), tuple(self._parts))

    def close(self) -> None:
        """Close what is open, finished or not."""
        self._files.close()


def write_json(path: Path, value: dict[str, Any]) -> Path:
    """Write a JSON file that a person can read."""
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return path
