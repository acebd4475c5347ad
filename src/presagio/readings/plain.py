"""The fast path of tables: which rows are plainly good, as Polars expressions over typed columns.

Most rows of most files need no second look. A good row may be left to :mod:`.rows`, the slow path,
which names faults; a row that the slow path refuses is never taken here (property tests compare the
two).
"""

from collections.abc import Mapping

import polars as pl

from presagio.machine.inputs import Label
from presagio.machine.series import TimeColumn
from presagio.machine.spec import MachineSpec
from presagio.readings.instants import time_in
from presagio.readings.row_check import RowCheck
from presagio.readings.rules import FALSE_WORDS, TRUE_WORDS, FlagRule, contradict, within
from presagio.readings.text_values import flag_of, number_in, one_of

_TRUE = (*TRUE_WORDS, "1", "1.0")
# Codes are much faster to compare than text.
_FLAGS = pl.Enum([*_TRUE, *FALSE_WORDS, "0", "0.0"])


class PlainRows:
    """How the plainly good rows of a table are found, and what their values are.

    Text that is longer than a value may be must not come here.

    Parameters
    ----------
    check
        Which columns the table has, and in which units; numbers in text have a point.
    schema
        The types of the columns, by the spec's names.

    Attributes
    ----------
    names
        Of the values: features, indicators, and the time and labels that the table has.
    good
        True for rows that are plainly good, in a table of values.
    """

    def __init__(self, check: RowCheck, schema: Mapping[str, pl.DataType]) -> None:
        self._check, spec = check, check.spec
        labels = [label for label in spec.label_names if check.has(label)]
        flags = [*spec.indicator_names, *labels]
        time = check.series.time
        self.names = (*((time.name,) if time else ()), *spec.feature_names, *flags)
        written = {category.name for category in spec.categories if check.has(category.name)}
        optional = {*spec.optional_names}
        parsed = [
            _optional(name, schema.get(name), spec) if name in optional
            else _number(name, schema[name]) for name in spec.feature_names
        ]  # fmt: skip
        parsed += [_gap(name, schema.get(name), spec).alias(_gap_name(name)) for name in optional]
        parsed += [_time(time, schema[time.name], check.mark)] if time else []
        parsed += [
            pl.col(name).cast(pl.String)
            for name in check.series.owners
            if schema[name].is_integer()
        ]
        labels_by_name = {label.name: label for label in spec.labels}
        parsed += [
            _flag(name, schema[name], labels_by_name.get(name)) for name in flags if name in schema
        ]
        # One step after the other: what two steps need is computed once.
        self._steps = [
            [_code(category.name, schema[category.name], category.values)
             for category in spec.categories if category.name in written],
            [*parsed, *(
                (pl.col(category.name) == value).alias(indicator)
                for category in spec.categories if category.name in written
                for value, indicator in category.indicators.items()
            )],
            [check.in_spec_unit(feature, pl.col(feature.name)).alias(feature.name)
             for feature in spec.features if feature.name in check.match.units],
        ]  # fmt: skip
        conditions = [
            within(pl.col(feature.name), feature) | pl.col(_gap_name(feature.name))
            if feature.name in optional else within(pl.col(feature.name), feature)
            for feature in spec.features
        ]  # fmt: skip
        conditions += [pl.col(flag).is_not_null() for flag in flags]
        conditions += [pl.col(time.name).is_not_null()] if time else []
        conditions += [_owner(name, schema[name], spec) for name in check.series.owners]
        for category in spec.categories:
            if category.name not in written:
                several = [pl.col(name).cast(pl.Int8) for name in category.indicators.values()]
                conditions.append(~contradict(several))
            elif not category.indicators:
                conditions.append(pl.col(category.name).is_not_null())
        self.good = pl.all_horizontal(conditions).fill_null(value=False)

    def values(self, table: pl.DataFrame) -> pl.DataFrame:
        """Put the values of a table's rows in place of what they were read from.

        Features are float64 in the spec's unit, indicators and labels booleans; null where a
        cell is not plainly one.
        """
        for step in self._steps:
            table = table.with_columns(step) if step else table
        return table


def _number(name: str, kind: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if kind.is_numeric():
        return column.cast(pl.Float64, strict=False)
    if kind == pl.String:
        return column.str.strip_chars().cast(pl.Float64, strict=False)
    return pl.lit(None, pl.Float64).alias(name)


def _gap_name(name: str) -> str:
    """Return the name of the column that tells where a feature is missing."""
    # It begins as no name does.
    return f"?{name}"


def _gap(name: str, kind: pl.DataType | None, spec: MachineSpec) -> pl.Expr:
    """Tell where a feature that may be missing is."""
    column = pl.col(name)
    if kind is None:
        return pl.lit(value=True)
    if kind.is_float():
        return column.is_null() | column.is_nan()
    if kind == pl.String:
        text = column.str.strip_chars()
        return column.is_null() | (text == "") | one_of(text, spec.missing_values)
    return column.is_null()


def _optional(name: str, kind: pl.DataType | None, spec: MachineSpec) -> pl.Expr:
    number = pl.lit(None, pl.Float64) if kind is None else _number(name, kind)
    return pl.when(~_gap(name, kind, spec)).then(number).alias(name)


def _time(time: TimeColumn, kind: pl.DataType, mark: str) -> pl.Expr:
    column = pl.col(time.name)
    if time.is_counter and kind.is_numeric():
        return column.cast(pl.Float64, strict=False).fill_nan(None)
    text = column if kind == pl.String else column.cast(pl.String)
    return time_in(text.str.strip_chars(), time, mark).alias(time.name)


def _owner(name: str, kind: pl.DataType, spec: MachineSpec) -> pl.Expr:
    """Tell where there is text without white space around it that says what a reading is of."""
    if kind != pl.String and not kind.is_integer():
        return pl.lit(value=False)
    text, members = pl.col(name), spec.members
    plain = (text != "") & (text == text.str.strip_chars()) & ~one_of(text, spec.missing_values)
    plain &= ~text.str.contains("\0", literal=True)
    if members is not None and members.name == name:
        return plain & one_of(text, members.values)
    return plain


def _flag(name: str, kind: pl.DataType, label: Label | None) -> pl.Expr:
    column = pl.col(name)
    if kind == pl.Boolean:
        return column
    if kind.is_numeric():
        return pl.when(FlagRule.holds(column)).then(column == 1).alias(name)
    if kind == pl.String:
        text = column.str.strip_chars()
        if label is not None and (label.true_words or label.false_words):
            return flag_of(text, number_in(text), label).alias(name)
        words = text.str.to_lowercase().cast(_FLAGS, strict=False)
        return words.to_physical() < len(_TRUE)
    return pl.lit(None, pl.Boolean).alias(name)


def _code(name: str, kind: pl.DataType, values: tuple[str, ...]) -> pl.Expr:
    column = pl.col(name)
    if isinstance(kind, pl.Enum):
        return column
    if kind == pl.String:
        return column.str.strip_chars().cast(pl.Enum(values), strict=False)
    return pl.lit(None, pl.Enum(values)).alias(name)
