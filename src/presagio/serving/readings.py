"""A table of readings: which rows can be judged, and what is wrong with the others.

The same rules as for one reading, for columns at a time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from presagio.errors import DataError
from presagio.machine.columns import match_columns
from presagio.machine.spec import Category, Feature, MachineSpec
from presagio.machine.units import convert, find_unit
from presagio.serving.requests import allowed_range

_TRUE, _FALSE = ("true", "1", "1.0"), ("false", "0", "0.0")
# Where a reader leaves what it found wrong with a row before its values are looked at.
FAULT = "__fault"


@dataclass(frozen=True)
class CheckedReadings:
    """A table that was looked at.

    Attributes
    ----------
    inputs
        Shape ``(g, k)``: the rows that can be judged, as a model takes them.
    good
        Which rows these are, shape ``(n,)``.
    faults
        What is wrong with each row, null for good ones, shape ``(n,)``.
    """

    inputs: NDArray[np.float64]
    good: NDArray[np.bool_]
    faults: pl.Series


def _text(name: str) -> pl.Expr:
    return pl.col(name).cast(pl.String, strict=False).str.strip_chars(' "\t')


def _wrong(name: str, allowed: str) -> pl.Expr:
    got = _text(name).str.slice(0, 40)
    shown = pl.when(got.is_null() | (got == "")).then(pl.lit("nothing")).otherwise(got)
    return pl.format("{}: got {}, allowed: {}", pl.lit(name), shown, pl.lit(allowed))


class ReadingsTable:
    """How the columns of one table become a model's inputs."""

    def __init__(self, schema: Mapping[str, pl.DataType], spec: MachineSpec) -> None:
        """Match a table's columns with the spec.

        Raises
        ------
        DataError
            If a column is missing, stands twice or is in a unit that cannot be converted.
        """
        header = [name for name in schema if name != FAULT]
        match = match_columns(header, spec)
        faults = [f"{name} is missing" for name in match.missing]
        faults += [f"{name} stands there twice" for name in match.duplicated]
        faults += [f"{column} is in a unit that cannot be converted" for column in match.misfits]
        if faults:
            raise DataError("; ".join(faults))
        self._spec, self._match = spec, match
        self._renamed = {header[i]: name for i, name in match.names.items()}
        # What comes as a number needs no reading from text.
        self._numbers = {self._renamed.get(c) for c, kind in schema.items() if kind.is_numeric()}

    def check(self, frame: pl.DataFrame) -> CheckedReadings:
        """Look at rows of the table; never raises for what stands in them."""
        named = frame.rename(self._renamed, strict=False)
        parts = [
            *(self._number(feature) for feature in self._spec.features),
            *(
                self._indicator(category, value, told=i == 0)
                for category in self._spec.categories
                for i, value in enumerate(category.indicators)
            ),
        ]
        columns = [value.alias(f"v{i}") for i, (value, _, _) in enumerate(parts)]
        bad = pl.any_horizontal(fault.fill_null(value=True) for _, fault, _ in parts)
        if FAULT in named.columns:
            bad |= pl.col(FAULT).is_not_null()
        looked = named.select(*columns, bad.alias("bad"))
        good = ~looked["bad"].to_numpy()
        inputs = np.ascontiguousarray(
            looked.select(pl.col("^v\\d+$")).to_numpy()[good], dtype=np.float64
        )
        return CheckedReadings(inputs, good, self._told(named, looked["bad"], parts))

    def _told(
        self, named: pl.DataFrame, bad: pl.Series, parts: Sequence[tuple[pl.Expr, pl.Expr, pl.Expr]]
    ) -> pl.Series:
        if not bad.any():
            return pl.Series(FAULT, [None] * named.height, dtype=pl.String)
        told = [
            pl.when(fault.fill_null(value=True)).then(text).otherwise(None)
            for _, fault, text in parts
        ]
        if FAULT in named.columns:
            told = [pl.when(pl.col(FAULT).is_null()).then(one).otherwise(None) for one in told] + [
                pl.col(FAULT)
            ]
        text = pl.concat_str(told, separator="; ", ignore_nulls=True)
        return named.select(pl.when(bad).then(text).otherwise(None).alias(FAULT)).to_series()

    def _number(self, feature: Feature) -> tuple[pl.Expr, pl.Expr, pl.Expr]:
        name, (low, high) = feature.name, feature.range
        column = pl.col(name)
        value = pl.when(column.is_not_null()).then(_text(name)).cast(pl.Float64, strict=False)
        if name in self._numbers:
            value = column.cast(pl.Float64, strict=False)
        unit, own = self._match.units.get(name), find_unit(feature.unit)
        if unit is not None and own is not None:
            value = convert(value, unit, own)
        fault = ~value.is_between(low, high) | value.is_nan()
        return value, fault, _wrong(name, f"a number, {allowed_range(feature)}")

    def _indicator(
        self, category: Category, value: str, *, told: bool
    ) -> tuple[pl.Expr, pl.Expr, pl.Expr]:
        if category.name in self._match.found:
            said = _text(category.name)
            allowed = " or ".join(category.values)
            # All indicators come from this one column, whose fault is told once.
            fault = ~said.is_in(list(category.values)) if told else pl.lit(value=False)
            return (said == value).cast(pl.Float64), fault, _wrong(category.name, allowed)
        name = category.indicators[value]
        said = _text(name).str.to_lowercase()
        fault = ~said.is_in([*_TRUE, *_FALSE])
        return said.is_in(list(_TRUE)).cast(pl.Float64), fault, _wrong(name, "true or false")
