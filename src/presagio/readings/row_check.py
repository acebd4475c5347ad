"""The rules of a reading for cells of text, as Polars expressions: every fault of every row."""

from dataclasses import dataclass
from functools import cached_property

import polars as pl

from presagio.machine.columns import ColumnMatch
from presagio.machine.inputs import Category, Feature
from presagio.machine.spec import MachineSpec
from presagio.machine.units import alternatives, convert, find_unit
from presagio.readings.allowed import number_allowed, with_mark, without_thousands
from presagio.readings.instants import time_in
from presagio.readings.numerals import THOUSANDS, decimal_form, number_pattern, other_mark
from presagio.readings.row_rule import Kind, Rule, nul_rule, value_rules
from presagio.readings.rules import (
    CategoryRule,
    FlagRule,
    Reason,
    contradict,
    contradiction,
    within,
)
from presagio.readings.series_check import SeriesCheck
from presagio.readings.text_values import bounded, flag_of, number_in, one_of

# The column of our own in which cells that the spec does not know are kept aside.
EXTRA = "extra"


def _parsed(name: str) -> str:
    """Return the name of the column of a column's values, which begins as no name does."""
    return f"={name}"


@dataclass(frozen=True)
class RowCheck:
    """The checks of one file's rows, as Polars expressions over cells of text.

    Cells of text are those of :func:`.text_values.bounded`: null stands for one that is too long.
    Beside the cells a table has ``parsed``.

    Attributes
    ----------
    spec
        The machine spec.
    match
        Which columns the file has, and in which units.
    mark
        What stands before decimals.
    numeric
        Columns that hold numbers or booleans in the file, so that no cell was text there.
    """

    spec: MachineSpec
    match: ColumnMatch
    mark: str = "."
    numeric: frozenset[str] = frozenset()

    def has(self, name: str) -> bool:
        """Tell whether the file has a column."""
        return name in self.match.found

    @cached_property
    def value_names(self) -> tuple[str, ...]:
        """The columns of the file that rules are about."""
        texts = {column.name for column in self.spec.identifiers}
        return tuple(sorted(self.match.found - texts))

    @cached_property
    def cells(self) -> list[pl.Expr]:
        """The cells of the file that rules are about and that rows keep, without white space."""
        texts = [name for name in self.value_names if name not in self.numeric]
        # A number that names a unit is a whole one, however the file stores it.
        kept_numbers = [
            pl.col(name).str.replace(r"\.0$", "")
            for name in self.series.owners
            if name in self.numeric
        ]
        kept = [
            pl.col(name).str.strip_chars()
            for name in self.kept_text if name != EXTRA and name not in self.value_names
        ]  # fmt: skip
        return [*map(self._cell, texts), *kept_numbers, *kept]

    def _cell(self, name: str) -> pl.Expr:
        """Return the text of a column, empty where it says that a value is missing."""
        words, text = self.spec.missing_values, bounded(name)
        if not words or name not in (*self.spec.feature_names, *self.spec.needed_columns):
            return text
        return pl.when(one_of(text, words)).then(pl.lit("")).otherwise(text).alias(name)

    def _as_number(self, name: str) -> pl.Expr:
        """Return a column's numbers as they are written, null where a cell is none."""
        if not self.has(name):
            return pl.lit(None, pl.Float64)
        if name in self.numeric:
            return pl.col(name).cast(pl.Float64, strict=False).fill_nan(None)
        return number_in(pl.col(name), self.mark)

    def in_spec_unit(self, feature: Feature, number: pl.Expr) -> pl.Expr:
        """Convert a feature's numbers from the file's unit into the spec's."""
        unit, into = self.match.units.get(feature.name), find_unit(feature.unit)
        return number if unit is None or into is None else convert(number, unit, into)

    def value(self, feature: Feature) -> pl.Expr:
        """Return a feature's value in the spec's unit, null where the text is no number."""
        return self.in_spec_unit(feature, self._as_number(feature.name))

    @cached_property
    def features(self) -> tuple[Feature, ...]:
        """The features that the file has."""
        return tuple(feature for feature in self.spec.features if self.has(feature.name))

    @cached_property
    def series(self) -> SeriesCheck:
        """The rules of unit, time and members."""
        return SeriesCheck(self.spec, self.match.found)

    @cached_property
    def flag_names(self) -> list[str]:
        """The columns of the file that are flags: indicators and labels."""
        return [n for n in (*self.spec.indicator_names, *self.spec.label_names) if self.has(n)]

    @cached_property
    def parsed(self) -> list[pl.Expr]:
        """What rules and values are made from, computed once: numbers as written, and flags."""
        numbers = [self._as_number(name).alias(_parsed(name)) for name in self.spec.feature_names]
        if (time := self.series.time) is not None:
            instant = time_in(pl.col(time.name), time, self.mark)
            numbers.append(instant.alias(_parsed(time.name)))
        labels = {label.name: label for label in self.spec.labels}
        return numbers + [
            flag_of(pl.col(name), self._as_number(name), labels.get(name)).alias(_parsed(name))
            for name in self.flag_names
        ]

    def _value(self, feature: Feature) -> pl.Expr:
        return self.in_spec_unit(feature, pl.col(_parsed(feature.name)))

    def _number_rules(self, feature: Feature) -> list[Rule]:
        name, raw, number = feature.name, pl.col(feature.name), pl.col(_parsed(feature.name))
        unit = self.match.units.get(name)
        plain = number_allowed(feature, unit.symbol if unit else "")
        allowed = str(plain)
        wrong = (raw != "") & number.is_null()
        without, marked = str(without_thousands(plain)), str(with_mark(plain, self.mark))
        kinds = (
            Kind(THOUSANDS, Reason.THOUSANDS_SEPARATOR, without),
            Kind(number_pattern(other_mark(self.mark)), Reason.DECIMAL_MARK, marked),
        )
        return [
            *value_rules(name, allowed, optional=name in self.spec.optional_names),
            Rule(name, Reason.NOT_A_NUMBER, wrong, allowed, kinds=kinds),
            Rule(name, Reason.OUT_OF_RANGE, ~within(self._value(feature), feature), allowed),
        ]

    def _flag_rules(self, name: str) -> list[Rule]:
        allowed = FlagRule(name).allowed
        wrong = (pl.col(name) != "") & pl.col(_parsed(name)).is_null()
        return [
            *value_rules(name, allowed, optional=name in self.spec.optional_names),
            Rule(name, Reason.NOT_A_BOOLEAN, wrong, allowed),
        ]

    def _category_rules(self, category: Category) -> list[Rule]:
        name, raw = category.name, pl.col(category.name)
        if self.has(name):
            allowed = CategoryRule(category).allowed
            known = raw.str.to_uppercase().is_in([value.upper() for value in category.values])
            return [
                *value_rules(name, allowed, optional=name in self.spec.optional_names),
                Rule(name, Reason.UNKNOWN_CATEGORY, (raw != "") & ~known, allowed),
            ]
        names = list(category.indicators.values())
        several = contradict([self._is_true(name).cast(pl.Int32) for name in names])
        got, allowed = contradiction(category)
        rules = [rule for flag in names for rule in self._flag_rules(flag)]
        return [*rules, Rule(name, Reason.CONTRADICTION, several, allowed, got)]

    def _is_true(self, name: str) -> pl.Expr:
        return pl.col(_parsed(name)).fill_null(value=False)

    @cached_property
    def rules(self) -> list[Rule]:
        """All that a row may break, in the order in which its faults are named."""
        time = self.series.time
        found = self.series.rules(_parsed(time.name) if time else "")
        found += [nul_rule(name) for name in self.kept_text if name != EXTRA]
        found += [rule for feature in self.features for rule in self._number_rules(feature)]
        for category in self.spec.categories:
            found += self._category_rules(category)
        for label in self.spec.label_names:
            found += self._flag_rules(label) if self.has(label) else []
        return found

    @cached_property
    def typed(self) -> list[pl.Expr]:
        """The columns of a clean row: identifiers, extras, time, features, indicators, labels."""
        kept = [pl.col(name) for name in self.kept_text]
        kept += [
            pl.col(_parsed(t.name)).alias(t.name) for t in (self.series.time,) if t is not None
        ]
        kept += [self._value(feature).alias(feature.name) for feature in self.spec.features]
        return kept + self.flags()

    @property
    def kept_text(self) -> list[str]:
        """Columns that stay text: identifiers that the file has, a unit's too, and the rest."""
        kept = [column for column in self.spec.kept_columns if column is not self.spec.time]
        names = [column.name for column in kept if self.has(column.name)]
        return [*names, EXTRA] if self.match.extras else names

    def flags(self) -> list[pl.Expr]:
        """Return the boolean columns of a clean row: indicators and labels."""
        kept = []
        for category in self.spec.categories:
            for value, indicator in category.indicators.items():
                named = pl.col(category.name).str.to_uppercase() == value.upper()
                is_true = named if self.has(category.name) else self._is_true(indicator)
                kept.append(is_true.alias(indicator))
        labels = [label for label in self.spec.label_names if self.has(label)]
        return kept + [self._is_true(label).alias(label) for label in labels]

    @cached_property
    def other_marks(self) -> pl.Expr:
        """How many numbers have a form that needs the other mark before decimals."""
        other = other_mark(self.mark)
        forms = [decimal_form(pl.col(feature.name), other) for feature in self.features]
        return pl.sum_horizontal(pl.lit(0), *(form.sum() for form in forms))

    @cached_property
    def suspects(self) -> list[pl.Expr]:
        """For each other unit of a feature, how many values only that unit makes plausible.

        The expressions are named ``feature/unit``.
        """
        counts = []
        for feature in self.features:
            into = find_unit(feature.unit)
            number, outside = pl.col(_parsed(feature.name)), ~within(self._value(feature), feature)
            for unit in alternatives(feature.unit):
                if into is not None and unit != self.match.units.get(feature.name):
                    plausible = within(convert(number, unit, into), feature)
                    name = f"{feature.name}/{unit.symbol}"
                    counts.append((outside & plausible).sum().alias(name))
        return counts
