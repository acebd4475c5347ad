"""What may stand in a cell, and what came, as sentences; every door says their English."""

from presagio.machine.inputs import Category, Feature
from presagio.sentences import Number, Sentence, Value, either

FLAG = Sentence("true or false")
UNIT_NAME = Sentence("the name of a unit")
WITHOUT_NUL = Sentence("text without a NUL character")
ONE_AT_MOST = Sentence("one of them at most")
# What came, where it is no text of a cell.
NOTHING = Sentence("nothing")


def long_value(most: int) -> Sentence:
    """Return what came, where it is longer than so many bytes."""
    return Sentence("more than %(most)s bytes", {"most": Number(most)})


def number_allowed(feature: Feature, converted_from: str = "") -> Sentence:
    """Return what a feature's value may be; ``converted_from`` is the unit of the file, if another.

    Parameters
    ----------
    feature
        The feature.
    converted_from
        Symbol of the unit that the file has, where it is not the spec's.
    """
    allowed = Sentence("a number, %(range)s", {"range": feature.plausible})
    if not converted_from:
        return allowed
    return Sentence(
        "%(allowed)s (converted from %(unit)s)", {"allowed": allowed, "unit": converted_from}
    )


def without_thousands(allowed: Value) -> Sentence:
    """Return what may stand where a number has a separator of thousands."""
    return Sentence("%(allowed)s, without a separator of thousands", {"allowed": allowed})


def with_mark(allowed: Value, mark: str) -> Sentence:
    """Return what may stand where a number has another mark before decimals than the file."""
    return Sentence(
        "%(allowed)s, with '%(mark)s' before decimals", {"allowed": allowed, "mark": mark}
    )


def category_allowed(category: Category) -> Value:
    """Return the values of a category."""
    return either(category.values)


def other_member_allowed(members: Value) -> Sentence:
    """Return the kinds of a fleet, where a row is of another."""
    return Sentence("%(members)s; it is for another fleet", {"members": members})


def both_true(category: Category) -> Sentence:
    """Return what came of a category with two values."""
    *before, last = category.indicators.values()
    found: Value = last
    for name in reversed(before):
        found = Sentence("%(one)s and %(other)s", {"one": name, "other": found})
    return Sentence("%(indicators)s are both true", {"indicators": found})
