"""Sentences and values that stand below the console, in a visitor's language."""

from collections.abc import Iterable

from presagio.console.presentation import Presentation
from presagio.inference.sentences import Measured, Points, Sentence, Value

_DIGITS = 4


def write_value(show: Presentation, value: Value) -> str:
    """Write what stands in a gap of a sentence."""
    if isinstance(value, Points):
        return show.number(100 * value.share)
    if not isinstance(value, Measured):
        return value
    return show.measured(value.value, value.unit, _DIGITS)


def write(show: Presentation, sentence: Sentence) -> str:
    """Write a sentence."""
    return sentence.written(show.catalogue.gettext, lambda value: write_value(show, value))


def write_all(show: Presentation, sentences: Iterable[Sentence]) -> list[str]:
    """Write sentences."""
    return [write(show, sentence) for sentence in sentences]
