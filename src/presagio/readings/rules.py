"""What a reading may be: the one definition, from which every door's check is made.

A reading has numbers (the features), flags (the indicators of categories; labels too) and
categories. How a value is written depends on what it comes in, and this by design:

=========  ===========================  ==========================  ==========================
..         text: a cell of CSV, of a    typed: columns of Parquet   JSON: ``/predict``,
           workbook, or of a column of  and Arrow that hold         ``/feedback``, lists, NDJSON,
           text in Parquet or Arrow     numbers or booleans;        tensors written as JSON
                                        tensors sent as bytes
=========  ===========================  ==========================  ==========================
gap        nothing, white space, or a   null; NaN                   null, or no such key
           word of the spec's
           ``missing_values``
number     as :mod:`.numerals` says     a number; never a boolean   a number; text and booleans
                                                                    are none
flag       true, false, yes, no in any  a boolean, or a number      true, false, or a number that
           case; a number that is 0     that is 0 or 1              is 0 or 1; text is none
           or 1
category   one of its values in any     (text)                      text, one of its values in any
           case                                                     case
unit       any text, or a number        a whole number              text
time       as :mod:`.instants` says     a time or a date; of a      as in text; of a counter a
                                        counter a number            number
=========  ===========================  ==========================  ==========================

A gap is a fault, unless the machine spec says that the feature may be missing. White space around
text does not count. NaN is no number; an infinite number is one, outside every range. Text of more
than ``LONGEST_VALUE`` bytes is no value. Everything has the same reason code at every door.

This module says what is wrong with one value, and needs no library for it, since the door that
answers in microseconds uses it. :mod:`.row_check` says the same for cells of text, :mod:`.plain`
for typed columns (only which rows are good), :mod:`.json_object` for one JSON object as a pydantic
model, :mod:`.arrays` for NumPy arrays. ``tests/readings/test_doors.py`` sends the same values
through all of them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from presagio.machine.inputs import Category, Feature
from presagio.machine.spec import MachineSpec
from presagio.readings.allowed import FLAG, ONE_AT_MOST, both_true, category_allowed, number_allowed
from presagio.sentences import in_english

# In bytes; no number and no name of a value is longer.
LONGEST_VALUE = 256
TRUE_WORDS, FALSE_WORDS = ("true", "yes"), ("false", "no")


class Reason(StrEnum):
    """The code of what is wrong with a reading, the same at every door."""

    MISSING = "missing"
    NOT_A_NUMBER = "not_a_number"
    THOUSANDS_SEPARATOR = "thousands_separator"
    DECIMAL_MARK = "decimal_mark"
    OUT_OF_RANGE = "out_of_range"
    NOT_A_BOOLEAN = "not_a_boolean"
    UNKNOWN_CATEGORY = "unknown_category"
    NOT_A_TIME = "not_a_time"
    # No text of PostgreSQL has one, so no name can be kept that does.
    NUL_CHARACTER = "nul_character"
    # Of a kind that does not belong to the fleet; no mistake of the file's.
    OTHER_MEMBER = "other_member"
    CONTRADICTION = "contradiction"
    # Of a row as a whole, before its values are looked at.
    TOO_LONG = "too_long"
    RAGGED = "ragged"
    MALFORMED_QUOTES = "malformed_quotes"
    UNCLOSED_QUOTE = "unclosed_quote"
    NO_JSON = "no_json"
    NO_OBJECT = "no_object"
    REPEATED_KEY = "repeated_key"
    DUPLICATE_ROW = "duplicate_row"
    # Of one unit at one time there is one reading.
    REPEATED_READING = "repeated_reading"
    CONTRADICTING_READING = "contradicting_reading"
    # An event happens once, and a failure is of one mode.
    REPEATED_EVENT = "repeated_event"
    CONTRADICTING_EVENT = "contradicting_event"


class Fault(NamedTuple):
    """What is wrong with a reading: where, what kind, and in words with what is allowed."""

    column: str
    reason: str
    message: str


def message(column: str, got: str, allowed: str) -> str:
    """Say what came and what is allowed; at every door in these words."""
    before, after = around(column, allowed)
    return before + got + after


def around(column: str, allowed: str) -> tuple[str, str]:
    """Return the text of a message before and after what came; a row as a whole has no column."""
    return f"{column}: got " if column else "", f", allowed: {allowed}"


def within(values: Any, feature: Feature) -> Any:
    """Tell whether numbers are in a feature's range, in the spec's unit.

    Parameters
    ----------
    values
        A number, a NumPy array or a Polars expression. NaN is outside.

    Returns
    -------
    Any
        A boolean, or booleans of the same shape.
    """
    low, high = feature.bounds
    return (values >= low) & (values <= high)


def contradict(flags: Sequence[Any]) -> Any:
    """Tell whether more than one indicator of a category is true.

    Parameters
    ----------
    flags
        The indicators as numbers or booleans, or columns of them: NumPy arrays, or Polars
        expressions of integers.

    Returns
    -------
    Any
        A boolean for booleans, a column of booleans for columns.
    """
    return sum(flags) > 1


def contradiction(category: Category) -> tuple[str, str]:
    """Return what is said of a reading with two values of a category: what came, what may."""
    return str(both_true(category)), str(ONE_AT_MOST)


@dataclass(frozen=True)
class NumberRule:
    """What a feature's value may be."""

    feature: Feature
    optional: bool = False
    wrong_kind: Reason = Reason.NOT_A_NUMBER

    @property
    def name(self) -> str:
        """The feature's name."""
        return self.feature.name

    @property
    def allowed(self) -> str:
        """What is allowed, in words."""
        return str(number_allowed(self.feature))

    def holds(self, values: Any) -> Any:
        """Tell which numbers are good, in the spec's unit: a number, or a NumPy array.

        NaN is a gap, which is good where the feature may be missing.
        """
        good = within(values, self.feature)
        return good | (values != values) if self.optional else good  # noqa: PLR0124 - NaN alone

    def reason(self, value: object) -> Reason | None:
        """Say what is wrong with a JSON value, a boolean or a number; None for a good one."""
        if value is None:
            return None if self.optional else Reason.MISSING
        if isinstance(value, bool) or not isinstance(value, int | float):
            return self.wrong_kind
        if isinstance(value, float) and math.isnan(value):
            return None if self.optional else self.wrong_kind
        return None if self.holds(value) else Reason.OUT_OF_RANGE


@dataclass(frozen=True)
class FlagRule:
    """What an indicator or a label may be."""

    name: str
    allowed: str = str(FLAG)
    wrong_kind: Reason = Reason.NOT_A_BOOLEAN

    @staticmethod
    def holds(values: Any) -> Any:
        """Tell which numbers are flags: a number, a NumPy array or a Polars expression."""
        return (values == 0) | (values == 1)

    def reason(self, value: object) -> Reason | None:
        """Say what is wrong with a JSON value, a boolean or a number; None for a good one."""
        if value is None:
            return Reason.MISSING
        known = isinstance(value, int | float) and self.holds(value)
        return None if known else self.wrong_kind


@dataclass(frozen=True)
class CategoryRule:
    """What the value of a category may be, where it comes by itself and not as indicators."""

    category: Category

    @property
    def name(self) -> str:
        """The category's name."""
        return self.category.name

    @property
    def allowed(self) -> str:
        """What is allowed, in words."""
        return in_english(category_allowed(self.category))


def input_rules(spec: MachineSpec) -> tuple[NumberRule | FlagRule, ...]:
    """Return the rules of what a model takes, in the order of ``spec.input_names``."""
    optional = {*spec.optional_names}
    numbers = [NumberRule(feature, feature.name in optional) for feature in spec.features]
    return (*numbers, *map(FlagRule, spec.indicator_names))
