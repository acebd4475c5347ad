"""A table of readings: which rows can be predicted, and what is wrong with the others.

The same rules as for one reading, for columns at a time.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from presagio.errors import DataError
from presagio.machine.columns import match_columns
from presagio.machine.contradictions import contradict
from presagio.machine.headers import HeaderLimits
from presagio.machine.inputs import Category, Feature
from presagio.machine.spec import MachineSpec
from presagio.machine.units import convert, find_unit
from presagio.readings.formats.cells import FAULT, as_text, cut
from presagio.readings.formats.kinds import is_text, misfits

TRUE, FALSE = ("true", "1", "1.0"), ("false", "0", "0.0")
# No number and no name of a value is longer.
_LONGEST = 256
_MOST_FAULTS = 20


class CheckedReadings(NamedTuple):
    """A table that was checked.

    Attributes
    ----------
    inputs
        Shape ``(g, k)``: the rows that can be predicted, as a model takes them.
    faults
        What is wrong with each row, null for good ones, shape ``(n,)``; None if all are good.
    """

    inputs: NDArray[np.float64]
    faults: pl.Series | None


class _Check(NamedTuple):
    """One input: its value, whether it is wrong, and what is said of it then."""

    value: pl.Expr
    is_wrong: pl.Expr
    message: pl.Expr


def _text(name: str) -> pl.Expr:
    return pl.col(name).cast(pl.String, strict=False).str.strip_chars(' "\t')


def _wrong(name: str, allowed: str) -> pl.Expr:
    got = _text(name).str.slice(0, 41)
    display = pl.when(got.is_null() | (got == "")).then(pl.lit("nothing")).otherwise(got)
    return pl.format("{}: got {}, allowed: {}", pl.lit(name), display, pl.lit(allowed))


def _is_true(name: str) -> pl.Expr:
    return _text(name).str.to_lowercase().is_in(list(TRUE))


class ReadingsTable:
    """How the columns of one table become a model's inputs.

    Attributes
    ----------
    columns
        The columns that are needed: the file's names with the spec's names for them.
    """

    def __init__(
        self, schema: Mapping[str, pl.DataType], spec: MachineSpec, headers: HeaderLimits
    ) -> None:
        """Match a table's columns with the spec.

        Raises
        ------
        DataError
            If a column is missing, stands twice, is in a unit that cannot be converted, or has a
            type that holds no values.
        """
        names = list(schema)
        match = match_columns(names, spec, headers)
        faults = [f"{name} is missing" for name in match.missing]
        faults += [f"{name} stands there twice" for name in match.duplicated]
        faults += [f"{column} is in a unit that cannot be converted" for column in match.misfits]
        needed = {*spec.input_names, *(category.name for category in spec.categories)}
        self.columns = {names[i]: name for i, name in match.names.items() if name in needed}
        faults += misfits(schema, self.columns)
        if faults:
            raise DataError("; ".join(faults[:_MOST_FAULTS]))
        self._spec, self._match = spec, match
        kinds = {own: schema[name] for name, own in self.columns.items()}
        # What comes as a number needs no reading from text.
        self._numbers = {own for own, kind in kinds.items() if kind.is_numeric()}
        self._texts = [own for own, kind in kinds.items() if is_text(kind)]
        self._checks = [*map(self._number, spec.features)]
        for category in spec.categories:
            self._checks += self._indicators(category)
        self._checks += [
            self._contradiction(category)
            for category in spec.categories
            if category.name not in match.found
        ]

    def check(self, frame: pl.DataFrame) -> CheckedReadings:
        """Check rows of the table, whose columns have the spec's names.

        Never raises for what stands in them.
        """
        if self._texts:
            frame = as_text(frame).with_columns(cut(n, _LONGEST).alias(n) for n in self._texts)
        width = len(self._spec.input_names)
        values = [check.value.alias(f"v{i}") for i, check in enumerate(self._checks[:width])]
        bad = pl.any_horizontal(check.is_wrong.fill_null(value=True) for check in self._checks)
        if FAULT in frame.columns:
            bad |= pl.col(FAULT).is_not_null()
        found = frame.lazy().select(*values, bad.alias("bad")).collect()
        bad_rows = found["bad"]
        inputs = found.select(pl.col("^v\\d+$")).to_numpy()
        if not bad_rows.any():
            return CheckedReadings(np.ascontiguousarray(inputs, dtype=np.float64), None)
        good = inputs[~bad_rows.to_numpy()]
        return CheckedReadings(
            np.ascontiguousarray(good, dtype=np.float64), self._faults(frame, bad_rows)
        )

    def _faults(self, frame: pl.DataFrame, bad: pl.Series) -> pl.Series:
        """Say what is wrong with each row that is bad."""
        messages = [
            pl.when(check.is_wrong.fill_null(value=True)).then(check.message)
            for check in self._checks
        ]
        rows = frame.filter(bad)
        if FAULT in frame.columns:
            before = pl.col(FAULT)
            text = pl.coalesce(before, pl.concat_str(messages, separator="; ", ignore_nulls=True))
        else:
            text = pl.concat_str(messages, separator="; ", ignore_nulls=True)
        told = rows.select(text.alias("fault"))["fault"]
        empty = pl.Series("fault", [None], dtype=pl.String).new_from_index(0, frame.height)
        return empty.scatter(bad.arg_true(), told)

    def _number(self, feature: Feature) -> _Check:
        name, (low, high) = feature.name, feature.range
        column = pl.col(name)
        if name in self._numbers:
            value = column.cast(pl.Float64, strict=False)
        else:
            value = _text(name).cast(pl.Float64, strict=False)
        unit, own = self._match.units.get(name), find_unit(feature.unit)
        if unit is not None and own is not None:
            value = convert(value, unit, own)
        is_wrong = ~value.is_between(low, high) | value.is_nan()
        return _Check(value, is_wrong, _wrong(name, f"a number, {feature.allowed}"))

    def _indicators(self, category: Category) -> Sequence[_Check]:
        """Check the indicators of a category, from whichever columns they come."""
        if category.name in self._match.found:
            value = _text(category.name)
            fault = ~value.is_in(list(category.values))
            message = _wrong(category.name, " or ".join(category.values))
            # All indicators come from this one column, whose fault is named once.
            right = pl.lit(value=False)
            return [
                _Check((value == named).cast(pl.Float64), right if i else fault, message)
                for i, named in enumerate(category.indicators)
            ]
        return [self._indicator(name) for name in category.indicators.values()]

    @staticmethod
    def _indicator(name: str) -> _Check:
        known = _text(name).str.to_lowercase().is_in([*TRUE, *FALSE])
        return _Check(_is_true(name).cast(pl.Float64), ~known, _wrong(name, "true or false"))

    @staticmethod
    def _contradiction(category: Category) -> _Check:
        names = category.indicators.values()
        several = contradict(
            [_is_true(name).fill_null(value=False).cast(pl.Int32) for name in names]
        )
        return _Check(several.cast(pl.Float64), several, pl.lit(category.contradiction))
