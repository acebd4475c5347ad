"""The files that come of one object, written beside each other before anything is stored."""

import hashlib
import json
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from presagio.machine.event_log import EventLog
from presagio.machine.spec import MachineSpec
from presagio.readings.instants import time_numbers, time_type
from presagio.readings.row_check import EXTRA
from presagio.readings.rows import CheckedRows
from presagio.storage.unit_parts import ANY_UNIT, UnitSpans

# Rows in one file of the curated data set, and what is held of them in memory at once.
_PART_ROWS = 500_000
_PART_BYTES = 64 << 20
# Rows in one part where they are of units: whoever wants one unit's reads no more than that.
UNIT_PART_ROWS = 50_000
# Of a part with more units than these it is not listed which.
_LISTED_UNITS = 20_000
# Polars' own choice of 1,024 rows at a time is a third slower.
_CSV_BATCH = 8192
# A spreadsheet takes a cell that begins so for a formula, unless it is a number.
_FORMULA = r"^[=+\-@\t\r]"
_NUMBER = r"^[+-]?[0-9]*[.,]?[0-9]*([eE][+-]?[0-9]+)?$"
RECEIPT = "receipt_id"
# In an object of many files: the number of the part; begins as no name does.
PART = "@part"
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
    """Files that wait to be stored; the clean rows as CSV, and as Parquet in parts.

    Attributes
    ----------
    spans
        Which units the parts hold, and of what times.
    """

    clean: Path
    rejected: Path
    curated: tuple[Path, ...]
    spans: UnitSpans


class OutputWriter:
    """Writes the rows of one object into a folder, chunk by chunk.

    A part of the curated rows ends with the chunk that brings it to ``part_rows``, or to
    ``part_bytes`` in memory. Readings of units are in order of unit and time there, in parts of
    their own size.
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
        is_of_units = spec.is_series and not isinstance(spec, EventLog)
        self._spans = SpansOfParts(spec) if is_of_units else None

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
        rows = pl.concat(self._waiting)
        self._waiting, self._waiting_bytes = [], 0
        if self._spans is None:
            self._write(rows)
            return
        rows = self._spans.in_order(rows)
        for part in rows.iter_slices(UNIT_PART_ROWS):
            self._spans.add(part, len(self._parts))
            self._write(part)

    def _write(self, rows: pl.DataFrame) -> None:
        path = self._folder / f"part-{len(self._parts)}.parquet"
        rows.write_parquet(path)
        self._parts.append(path)

    def finish(self) -> Written:
        """Close the files."""
        if self._waiting:
            self._write_part()
        self.close()
        spans = UnitSpans() if self._spans is None else self._spans.found
        return Written(Path(self._clean.name), Path(self._rejected.name), tuple(self._parts), spans)

    def close(self) -> None:
        """Close what is open, finished or not."""
        self._files.close()


class SpansOfParts:
    """Notes which units the parts of a file hold, and of what times."""

    def __init__(self, spec: MachineSpec) -> None:
        self._unit, self._time = spec.needed_columns[:2]
        self._parts: list[pl.DataFrame] = []

    def in_order(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return rows unit by unit and in order of time."""
        return rows.sort(self._unit, self._time, maintain_order=True)

    def add(self, rows: pl.DataFrame, part: int) -> None:
        """Note a part."""
        times = pl.Series("time", time_numbers(rows[self._time]).astype(np.float64))
        series = pl.DataFrame([rows[self._unit].alias("unit"), times])
        if series["unit"].n_unique() > _LISTED_UNITS:
            series = series.with_columns(unit=pl.lit(ANY_UNIT))
        spans = series.group_by("unit", maintain_order=True).agg(
            pl.lit(part).first().alias("part"), pl.min("time").alias("oldest"),
            pl.max("time").alias("newest"),
        )  # fmt: skip
        self._parts.append(spans)

    @property
    def found(self) -> UnitSpans:
        """What was noted."""
        if not self._parts:
            return UnitSpans()
        spans = pl.concat(self._parts)
        return UnitSpans(*(spans[name].to_list() for name in ("unit", "part", "oldest", "newest")))


def write_json(path: Path, value: dict[str, Any]) -> Path:
    """Write a JSON file that a person can read."""
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return path
