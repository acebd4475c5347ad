"""Sentences and values that stand below the console, in a visitor's language."""

from collections.abc import Iterable
from datetime import datetime

from babel.numbers import format_decimal
from markupsafe import Markup, escape

from presagio.console.catalogue import DEFAULT
from presagio.console.presentation import Presentation
from presagio.console.reasons import title_of
from presagio.errors import PresagioError
from presagio.sentences import (
    Code,
    Count,
    English,
    Listed,
    Measured,
    Moment,
    Number,
    Points,
    Sentence,
    Share,
    Value,
)

_DIGITS, _EXACT = 4, 6


def fixed(show: Presentation, value: float, decimals: int) -> str:
    """Write a number with so many decimals, however many it has."""
    pattern = "#,##0" + ("." + "0" * decimals if decimals else "")
    return str(format_decimal(value, format=pattern, locale=show.catalogue.locale))


def _moment(show: Presentation, written: str) -> str:
    try:
        when = datetime.fromisoformat(written)
    except ValueError:
        return written
    # Of which zone another one is nobody knows.
    return written if when.tzinfo is None else show.moment(when)


def write_value(show: Presentation, value: Value) -> str:  # noqa: C901, PLR0911 - a line for each kind
    """Write what stands in a gap of a sentence."""
    match value:
        case Points(share):
            return show.number(100 * share)
        case Measured(number, unit):
            return show.measured(number, unit, _DIGITS)
        case Share(share):
            return show.percent(share)
        case Count(number):
            return show.number(number)
        case Number(number, decimals):
            significant = show.significant(number, _EXACT)
            return significant if decimals is None else fixed(show, number, decimals)
        case Code(code):
            title = show.catalogue.gettext(title_of(code))
            return title[:1].lower() + title[1:]
        case Moment(written):
            return _moment(show, written)
        case English(words):
            return words
        case Listed(parts, between):
            return between.join(write_value(show, part) for part in parts)
        case Sentence():
            return write(show, value)
        case _:
            return value


def write(show: Presentation, sentence: Sentence) -> str:
    """Write a sentence."""
    return sentence.written(show.catalogue.gettext, lambda value: write_value(show, value))


def write_all(show: Presentation, sentences: Iterable[Sentence]) -> list[str]:
    """Write sentences."""
    return [write(show, sentence) for sentence in sentences]


def text_of(show: Presentation, found: PresagioError | Sentence | str) -> str:
    """Return what came from below the console as a text for a page.

    What there is in English only, such as a message of MLflow's, of a receipt that is older than
    its sentences, or of a library within a sentence, is marked as English on a page in another
    language, for who listens to it.

    Parameters
    ----------
    found
        An error, a sentence, or a text that is no sentence.
    """
    sentence = found.sentence if isinstance(found, PresagioError) else found
    value = sentence if isinstance(sentence, Sentence) else English(str(found))
    if show.catalogue.language == DEFAULT or not _is_partly_english(show, value):
        return write_value(show, value)
    return _marked(show, value)


def _is_partly_english(show: Presentation, value: Value) -> bool:
    match value:
        case English():
            return True
        case Listed(parts):
            return any(_is_partly_english(show, part) for part in parts)
        case Sentence(text, values):
            is_known = show.catalogue.knows(text)
            return not is_known or any(_is_partly_english(show, each) for each in values.values())
        case _:
            return False


def _marked(show: Presentation, value: Value) -> Markup:
    """Write a value as HTML, with what is English marked as English."""
    match value:
        case English(words):
            return Markup('<span lang="{}">{}</span>').format(DEFAULT, words)
        case Listed(parts, between):
            return escape(between).join(_marked(show, part) for part in parts)
        case Sentence(text, values) if show.catalogue.knows(text):
            gaps = {name: _marked(show, each) for name, each in values.items()}
            return escape(show.catalogue.gettext(text)) % gaps
        case Sentence():
            return _marked(show, English(str(value)))
        case _:
            return escape(write_value(show, value))
