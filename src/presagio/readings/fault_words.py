"""What is wrong with a row, as a sentence that can be translated.

Rows are checked as columns, and their faults are kept as text. Here the sentence is found that such
a text was written from: of those that the checker has for the reason, the one whose English it is.
"""

from collections.abc import Iterator

from presagio.machine.inputs import Category, Feature
from presagio.machine.spec import MachineSpec
from presagio.machine.units import alternatives
from presagio.readings.allowed import (
    FLAG,
    NOTHING,
    ONE_AT_MOST,
    UNIT_NAME,
    WITHOUT_NUL,
    both_true,
    category_allowed,
    long_value,
    number_allowed,
    other_member_allowed,
    with_mark,
    without_thousands,
)
from presagio.readings.numerals import MARKS
from presagio.readings.rules import LONGEST_VALUE, Reason, around
from presagio.sentences import Count, Number, Sentence, Value, either, in_english

# What is said of a row as a whole.
WHOLE_ROW = {
    Reason.MALFORMED_QUOTES: Sentence(
        'a quote stands where none may; write "" for one within a quoted cell'
    ),
    Reason.UNCLOSED_QUOTE: Sentence(
        "a quoted cell is opened and not closed; close it, or take the quote out"
    ),
    Reason.DUPLICATE_ROW: Sentence(
        "an earlier row of this file says exactly the same; the machine spec keeps one"
    ),
    Reason.REPEATED_EVENT: Sentence("an earlier row of this file is the same event"),
    Reason.CONTRADICTING_EVENT: Sentence(
        "an earlier row of this file has another mode for this unit's event at this time"
    ),
    Reason.REPEATED_READING: Sentence(
        "an earlier row of this file is the same reading of this unit at this time"
    ),
    Reason.CONTRADICTING_READING: Sentence(
        "an earlier row of this file has other values for this unit at this time"
    ),
}


def ragged(cells: int, width: int) -> Sentence:
    """Say that a row has another number of cells than the header."""
    return Sentence(
        "%(cells)s cells where the header has %(width)s; which one is missing or too many cannot "
        "be known",
        {"cells": Number(cells), "width": Number(width)},
    )


def long_cell(column: str, most: int) -> Sentence:
    """Say that a cell is longer than so many bytes."""
    values: dict[str, Value] = {"column": column, "most": Count(most)}
    return Sentence("%(column)s is longer than %(most)s bytes", values)


def _ends(sentence: Sentence) -> tuple[str, ...]:
    """Return the texts around the gaps of a sentence."""
    return tuple(part.rpartition(")s")[2] for part in sentence.text.split("%("))


def _ragged(message: str) -> Sentence | None:
    _, middle, end = _ends(ragged(0, 0))
    cells, _, width = message.removesuffix(end).partition(middle)
    if not (cells.isdecimal() and width.isdecimal()):
        return None
    return ragged(int(cells), int(width))


def _long_cell(column: str, message: str) -> Sentence | None:
    _, middle, end = _ends(long_cell("", 0))
    most = message.removeprefix(f"{column}{middle}").removesuffix(end).replace(",", "")
    return long_cell(column, int(most)) if most.isdecimal() else None


def _of_feature(feature: Feature) -> Iterator[Value]:
    for unit in ("", *(unit.symbol for unit in alternatives(feature.unit))):
        allowed = number_allowed(feature, unit)
        yield allowed
        yield without_thousands(allowed)
        yield from (with_mark(allowed, mark) for mark in MARKS)


def _of_category(category: Category, reason: str) -> Iterator[Value]:
    yield ONE_AT_MOST if reason == Reason.CONTRADICTION else category_allowed(category)


def _allowed(spec: MachineSpec, column: str, reason: str) -> Iterator[Value]:
    """Yield what may stand in a column, in the forms that the checker has for it."""
    if reason == Reason.NUL_CHARACTER:
        yield WITHOUT_NUL
    for feature in spec.features:
        if feature.name == column:
            yield from _of_feature(feature)
    for category in spec.categories:
        if category.name == column:
            yield from _of_category(category, reason)
    if column in (*spec.indicator_names, *spec.label_names):
        yield FLAG
    if spec.time is not None and spec.time.name == column:
        yield spec.time.accepted
    if spec.unit is not None and spec.unit.name == column:
        yield UNIT_NAME
    if spec.members is not None and spec.members.name == column:
        kinds = either(spec.members.values)
        yield other_member_allowed(kinds) if reason == Reason.OTHER_MEMBER else kinds


def _came(spec: MachineSpec, column: str, reason: str, text: str) -> Value:
    """Return what came: the text of the cell, or what is said of it."""
    if reason == Reason.MISSING:
        return NOTHING
    if reason == Reason.TOO_LONG:
        return long_value(LONGEST_VALUE)
    named = (both_true(each) for each in spec.categories if each.name == column)
    return next((found for found in named if str(found) == text), text)


def fault_sentence(spec: MachineSpec, column: str, reason: str, message: str) -> Sentence | None:
    """Return the sentence of a fault; None where another machine spec has written it.

    Parameters
    ----------
    spec
        The machine spec.
    column, reason, message
        Of the fault, as :class:`.rules.Fault` has them.
    """
    found = _row_sentence(column, reason, message)
    if found is not None and str(found) == message:
        return found
    where = "" if reason == Reason.CONTRADICTION else column
    for allowed in _allowed(spec, column, reason):
        before, after = around(where, in_english(allowed))
        if message.startswith(before) and message.endswith(after):
            text = message[len(before) : len(message) - len(after)]
            values = {"got": _came(spec, column, reason, text), "allowed": allowed}
            if not where:
                return Sentence("%(got)s, allowed: %(allowed)s", values)
            return Sentence(
                "%(column)s: got %(got)s, allowed: %(allowed)s", {"column": where, **values}
            )
    return None


def _row_sentence(column: str, reason: str, message: str) -> Sentence | None:
    if reason == Reason.RAGGED:
        return _ragged(message)
    if reason == Reason.TOO_LONG:
        return _long_cell(column, message)
    return next((found for code, found in WHOLE_ROW.items() if code == reason), None)
