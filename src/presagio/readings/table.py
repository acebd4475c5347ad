"""A table of readings: which rows can be predicted, and what is wrong with the others."""

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from presagio.errors import DataError
from presagio.machine.columns import ColumnMatch, match_columns
from presagio.machine.headers import HeaderLimits
from presagio.machine.spec import MachineSpec
from presagio.readings.formats.cells import FAULT, REASON, as_cells, as_text
from presagio.readings.formats.kinds import is_plain, is_text, misfits
from presagio.readings.plain import PlainRows
from presagio.readings.row_check import RowCheck
from presagio.readings.rows import LINE, RAW, CheckedRows, check_cells
from presagio.readings.rules import LONGEST_VALUE
from presagio.readings.series_check import one_name

_MOST_FAULTS = 20


class CheckedReadings(NamedTuple):
    """A table that was checked.

    Attributes
    ----------
    inputs
        Shape ``(g, k)``: the rows that can be predicted, as a model takes them.
    faults
        What is wrong with each row, shape ``(n,)``: ``fault``, in words, and ``reason``, the codes
        with a space between them; null for good rows. Of a table with ``series`` also the
        ``unit``, as it is written. None if all are good.
    series
        ``unit`` and ``time`` of the rows that can be predicted, where a reading hangs on
        those before it and the table has both columns; else None.
    echoed
        The columns that are no inputs, as text, of all rows; None where there is none.
    """

    inputs: NDArray[np.float64]
    faults: pl.DataFrame | None
    series: pl.DataFrame | None = None
    echoed: pl.DataFrame | None = None


class ReadingsTable:
    """How the columns of one table become a model's inputs.

    Attributes
    ----------
    columns
        The columns that are needed: the file's names with the spec's names for them.
    texts
        Those of the spec's names whose values are text by their nature: categories, and unit and
        timestamp where they are needed.
    echoed
        The columns that are no inputs: the file's names with those that they have in a table.
    """

    def __init__(
        self,
        schema: Mapping[str, pl.DataType],
        spec: MachineSpec,
        headers: HeaderLimits,
        *,
        is_json: bool = False,
    ) -> None:
        """Match a table's columns with the spec.

        Parameters
        ----------
        schema
            Names and types of the columns.
        spec
            The machine spec.
        headers
            What the header may be.
        is_json
            Whether values have the types of JSON, whatever the columns have.

        Raises
        ------
        DataError
            If a column is missing, stands twice, is in a unit that cannot be converted, or has a
            type that holds no values.
        """
        names = list(schema)
        match = match_columns(names, spec, headers)
        faults = [f"{n} is missing" for n in match.missing if n not in spec.needed_columns]
        faults += [f"{name} stands there twice" for name in match.duplicated]
        faults += [f"{column} is in a unit that cannot be converted" for column in match.misfits]
        self._series = _series(spec, match)
        self.texts = {category.name for category in spec.categories} | {*self._series}
        if spec.time is not None and spec.time.is_counter:
            self.texts.discard(spec.time.name)
        wanted = {*spec.input_names, *self.texts, *self._series}
        needed = {i: n for i, n in match.names.items() if n in wanted}
        self.columns = {names[i]: name for i, name in needed.items()}
        others = [n for n, kind in schema.items() if n not in self.columns and is_plain(kind)]
        self.echoed = {name: f"@{i}" for i, name in enumerate(others)}
        faults += misfits(schema, self.columns, times=self._series)
        if faults:
            raise DataError("; ".join(faults[:_MOST_FAULTS]))
        numeric = {n for raw, n in self.columns.items() if is_json or not is_text(schema[raw])}
        self._spec = spec
        self._plain: tuple[pl.Schema, PlainRows] | None = None
        self._check = RowCheck(
            spec, replace(match, names=needed, extras={}), numeric=frozenset(numeric - self.texts)
        )

    def check(self, frame: pl.DataFrame, *, echo: bool = True) -> CheckedReadings:
        """Check rows of the table, whose columns have the spec's names.

        Never raises for what stands in them. Without ``echo`` the columns that are no inputs are
        not there, and not wanted.
        """
        rows = _short(as_text(frame)).with_row_index(LINE)
        plain = self._plain_rows(rows.schema)
        values = plain.values(rows)
        clean = values.select(plain.good).to_series()
        if FAULT in rows.columns:
            clean &= rows[FAULT].is_null()
        if clean.all():
            return self._checked(rows, values, None, echo=echo)
        taken = values.filter(clean).select(
            LINE, *self._series, pl.col(self._spec.input_names).cast(pl.Float64)
        )
        checked = self._slowly(rows.filter(~clean))
        more = checked.accepted.select(
            pl.col(name).cast(kind) for name, kind in taken.schema.items()
        )
        taken = pl.concat([taken, more]).sort(LINE) if len(more) else taken
        faults = self._faults(rows, checked)
        if self._series:
            faults = faults.with_columns(as_cells(rows.select(unit=self._series[0])))
        return self._checked(rows, taken, faults if len(taken) < len(rows) else None, echo=echo)

    def _plain_rows(self, schema: pl.Schema) -> PlainRows:
        """Return how rows with columns of some types are read: made once, not for each part."""
        if self._plain is None or self._plain[0] != schema:
            self._plain = schema, PlainRows(self._check, schema)
        return self._plain[1]

    @property
    def read(self) -> dict[str, str]:
        """All columns that are read: the file's names with those that they have in a table."""
        return self.columns | self.echoed

    def _echoed(self, rows: pl.DataFrame) -> pl.DataFrame | None:
        if not self.echoed:
            return None
        return as_cells(rows.select(pl.col(new).alias(name) for name, new in self.echoed.items()))

    def _checked(
        self, rows: pl.DataFrame, taken: pl.DataFrame, faults: pl.DataFrame | None, *, echo: bool
    ) -> CheckedReadings:
        echoed = self._echoed(rows) if echo else None
        columns = np.empty((len(self._spec.input_names), len(taken)))
        for i, column in enumerate(self._spec.input_names):
            columns[i] = taken[column].to_numpy()
        # Rows at once: column by column into rows takes twice the time.
        inputs = np.ascontiguousarray(columns.T)
        if not self._series:
            return CheckedReadings(inputs, faults, None, echoed)
        unit, time = self._series
        owner = self._spec.unit
        if owner is not None and (name := one_name(owner)) is not None:
            taken = taken.with_columns(name)
        series = taken.select(unit=pl.col(unit), time=pl.col(time))
        return CheckedReadings(inputs, faults, series, echoed)

    def _slowly(self, rows: pl.DataFrame) -> CheckedRows:
        """Check rows that are not plainly good; those that could not be read are left out."""
        if FAULT in rows.columns:
            rows = rows.filter(pl.col(FAULT).is_null())
        names = list(self._check.value_names)
        cells = as_cells(rows.select(names)).with_columns(pl.col(names).fill_null(""))
        line = rows[LINE].cast(pl.Int64)
        cells = cells.with_columns(line, pl.lit("").alias(RAW))
        return check_cells(cells, self._check, of_file=False)

    @staticmethod
    def _faults(rows: pl.DataFrame, checked: CheckedRows) -> pl.DataFrame:
        """Say what is wrong with each row, null for good ones."""
        each = pl.element().struct
        found = checked.rejected.select(
            pl.col("line").cast(pl.get_index_type()).alias(LINE),
            pl.col("faults").list.eval(each.field("message")).list.join("; ").alias("fault"),
            pl.col("faults").list.eval(each.field("reason")).list.join(" ").alias("reason"),
        )
        lines = rows.select(LINE).join(found, on=LINE, how="left", maintain_order="left")
        if FAULT in rows.columns:
            unread = rows.select(FAULT, REASON)
            lines = lines.with_columns(
                pl.coalesce(unread[FAULT], "fault").alias("fault"),
                pl.coalesce(unread[REASON], "reason").alias("reason"),
            )
        return lines.select("fault", "reason")


def _series(spec: MachineSpec, match: ColumnMatch) -> tuple[str, ...]:
    """Return the columns of unit and time where a reading's inputs hang on those before it."""
    names = spec.series_names if spec.has_history else ()
    return names if match.found.issuperset(names) else ()


def _short(frame: pl.DataFrame) -> pl.DataFrame:
    """Cut text that is longer than a value may be; it still is then, and no number."""
    texts = [name for name, kind in frame.schema.items() if kind == pl.String and name != FAULT]
    cut = [
        pl.when(pl.col(name).str.len_bytes() > LONGEST_VALUE)
        .then(pl.concat_str(pl.col(name).str.slice(0, LONGEST_VALUE), pl.lit("…")))
        .otherwise(pl.col(name))
        .alias(name)
        for name in texts
    ]
    return frame.with_columns(cut)
