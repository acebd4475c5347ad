"""What a row may be: the rules that it may break, and the values that its cells stand for."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import polars as pl

from presagio.machine.columns import ColumnMatch
from presagio.machine.contradictions import contradict
from presagio.machine.inputs import Category, Feature
from presagio.machine.spec import MachineSpec
from presagio.machine.units import alternatives, convert, find_unit
from presagio.readings.numerals import THOUSANDS, decimal_form, number_pattern, other_mark

# The column of our own in which cells that the spec does not know are kept aside.
EXTRA = "extra"
TRUE = ("true", "1", "1.0", "yes")
FALSE = ("false", "0", "0.0", "no")
_SHOWN = 40
# Never in a message for another reason: text with NUL is refused before.
_CELL = "\0"


class Fault(NamedTuple):
    """What is wrong with a row: where, what kind, and in words with what was expected."""

    column: str
    reason: str
    message: str


@dataclass(frozen=True)
class Rule:
    """Something that a row may break.

    Attributes
    ----------
    column, reason
        Where, and what kind of fault it is.
    broken
        True for the rows that break it; null counts as false.
    message
        What was found and what was expected; the cell stands for ``_CELL`` in it.
    """

    column: str
    reason: str
    broken: pl.Expr
    message: str

    def fault(self, cell: str) -> Fault:
        """Say what is wrong with a cell."""
        return Fault(self.column, self.reason, self.message.replace(_CELL, cell[:_SHOWN]))


def _wrong(column: str, reason: str, broken: pl.Expr, expected: str) -> Rule:
    return Rule(column, reason, broken, f"{column} is '{_CELL}'; expected {expected}")


def _empty(column: str, expected: str) -> Rule:
    message = f"{column} is empty; expected {expected}"
    return Rule(column, "missing", pl.col(column) == "", message)


@dataclass(frozen=True)
class RowCheck:
    """The checks of one file's rows, as Polars expressions over cells of text.

    Attributes
    ----------
    spec
        The machine spec.
    match
        Which columns the file has, and in which units.
    mark
        What stands before decimals.
    """

    spec: MachineSpec
    match: ColumnMatch
    mark: str = "."

    def has(self, name: str) -> bool:
        """Tell whether the file has a column."""
        return name in self.match.found

    def _number(self, feature: Feature) -> pl.Expr:
        raw = pl.col(feature.name)
        text = raw.str.replace(self.mark, ".", literal=True) if self.mark != "." else raw
        numeric = raw.str.contains(number_pattern(self.mark))
        return pl.when(numeric).then(text.cast(pl.Float64, strict=False))

    def in_spec_unit(self, feature: Feature, number: pl.Expr) -> pl.Expr:
        """Convert a feature's numbers from the file's unit into the spec's."""
        unit, into = self.match.units.get(feature.name), find_unit(feature.unit)
        return number if unit is None or into is None else convert(number, unit, into)

    def value(self, feature: Feature) -> pl.Expr:
        """Return a feature's value in the spec's unit, null where the text is no number."""
        return self.in_spec_unit(feature, self._number(feature))

    def _number_rules(self, feature: Feature) -> list[Rule]:
        name, raw, value = feature.name, pl.col(feature.name), self.value(feature)
        low, high = feature.range
        expected = f"a number from {low:g} to {high:g} {feature.unit}"
        if unit := self.match.units.get(name):
            expected += f" (converted from {unit.symbol})"
        other = other_mark(self.mark)
        wrong = (raw != "") & value.is_null()
        thousands = wrong & raw.str.contains(THOUSANDS)
        with_other = wrong & ~thousands & raw.str.contains(number_pattern(other))
        without = f"{expected}, without a separator of thousands"
        return [
            _empty(name, expected),
            _wrong(name, "thousands_separator", thousands, without),
            _wrong(
                name, "decimal_mark", with_other, f"{expected}, with '{self.mark}' before decimals"
            ),
            _wrong(name, "not_a_number", wrong & ~thousands & ~with_other, expected),
            _wrong(name, "out_of_range", ~value.is_between(low, high), expected),
        ]

    def _flag_rules(self, name: str) -> list[Rule]:
        raw, expected = pl.col(name), "true or false, 1 or 0"
        known = raw.str.to_lowercase().is_in([*TRUE, *FALSE])
        return [
            _empty(name, expected),
            _wrong(name, "not_a_boolean", (raw != "") & ~known, expected),
        ]

    def _category_rules(self, category: Category) -> list[Rule]:
        name, raw = category.name, pl.col(category.name)
        if self.has(name):
            expected = f"one of {', '.join(category.values)}"
            known = raw.str.to_uppercase().is_in([value.upper() for value in category.values])
            return [
                _empty(name, expected),
                _wrong(name, "unknown_category", (raw != "") & ~known, expected),
            ]
        names = list(category.indicators.values())
        several = contradict([_is_true(name).cast(pl.Int32) for name in names])
        rules = [rule for flag in names for rule in self._flag_rules(flag)]
        return [*rules, Rule(name, "contradiction", several, category.contradiction)]

    @cached_property
    def rules(self) -> list[Rule]:
        """All that a row may break, in the order in which its faults are named."""
        found = [rule for feature in self.spec.features for rule in self._number_rules(feature)]
        for category in self.spec.categories:
            found += self._category_rules(category)
        for label in self.spec.label_names:
            found += self._flag_rules(label) if self.has(label) else []
        return found

    @cached_property
    def typed(self) -> list[pl.Expr]:
        """The columns of a clean row: identifiers, extras, features, indicators, labels."""
        kept = [pl.col(name) for name in self.kept_text]
        kept += [self.value(feature).alias(feature.name) for feature in self.spec.features]
        return kept + self.flags()

    @property
    def kept_text(self) -> list[str]:
        """Columns that stay text: the identifiers that the file has, and what it has besides."""
        names = [column.name for column in self.spec.identifiers if self.has(column.name)]
        return [*names, EXTRA] if self.match.extras else names

    def flags(self) -> list[pl.Expr]:
        """Return the boolean columns of a clean row: indicators and labels."""
        kept = []
        for category in self.spec.categories:
            for value, indicator in category.indicators.items():
                named = pl.col(category.name).str.to_uppercase() == value.upper()
                kept.append(
                    (named if self.has(category.name) else _is_true(indicator)).alias(indicator)
                )
        return kept + [_is_true(label) for label in self.spec.label_names if self.has(label)]

    @cached_property
    def contradictions(self) -> pl.Expr:
        """How many numbers have a form that needs the other mark before decimals."""
        other = other_mark(self.mark)
        forms = [decimal_form(pl.col(name), other) for name in self.spec.feature_names]
        return pl.sum_horizontal(form.sum() for form in forms)

    @cached_property
    def suspects(self) -> list[pl.Expr]:
        """For each other unit of a feature, how many values only that unit makes plausible.

        The expressions are named ``feature/unit``.
        """
        counts = []
        for feature in self.spec.features:
            into = find_unit(feature.unit)
            number, (low, high) = self._number(feature), feature.range
            outside = ~self.value(feature).is_between(low, high)
            for unit in alternatives(feature.unit):
                if into is not None and unit != self.match.units.get(feature.name):
                    plausible = convert(number, unit, into).is_between(low, high)
                    name = f"{feature.name}/{unit.symbol}"
                    counts.append((outside & plausible).sum().alias(name))
        return counts


def _is_true(name: str) -> pl.Expr:
    return pl.col(name).str.to_lowercase().is_in(TRUE)
