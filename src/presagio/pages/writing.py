"""How a page is written: in English, or in a reader's language with numbers as they write them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from presagio.pages.elements import Number
from presagio.pages.values import ABSENT, is_number
from presagio.sentences import Count, Sentence, Share, Value, in_english, read_sentence


def mark(message: str) -> str:
    """Mark a text that is translated where it is shown; returns it as it is."""
    return message


def _fixed(value: float, decimals: int) -> str:
    return f"{value:,.{decimals}f}"


def _significant(value: float, digits: int) -> str:
    return f"{value:.{digits}g}"


@dataclass(frozen=True)
class Writing:
    """Writes texts and numbers; plain English by itself.

    Attributes
    ----------
    translate
        Returns an English text in the reader's language, or as it is.
    fixed
        Writes a number with so many decimals.
    significant
        Writes a number with so many significant digits.
    percent
        Writes a share of 1 as per cent, with one decimal.
    """

    translate: Callable[[str], str] = str
    fixed: Callable[[float, int], str] = _fixed
    significant: Callable[[float, int], str] = _significant
    percent: Callable[[float], str] = "{:.1%}".format

    def phrase(self, message: str, **values: object) -> str:
        """Return a text in the reader's language, with values put in; it is no HTML yet."""
        found = self.translate(message)
        return found % values if values else found

    def text(self, message: object, known: Mapping[str, object]) -> str:
        """Return an English text of a card in the reader's language.

        Parameters
        ----------
        message
            The text.
        known
            Sentences as JSON by their English, for texts with values in them.
        """
        sentence = read_sentence(known.get(str(message)))
        return self.phrase(str(message)) if sentence is None else self.sentence(sentence)

    def sentence(self, sentence: Sentence) -> str:
        """Return a sentence in the reader's language."""
        return sentence.written(self.translate, self._value)

    def _value(self, value: Value) -> str:
        match value:
            case Sentence():
                return self.sentence(value)
            case Share(share):
                return self.percent(share)
            case Count(number):
                return self.fixed(number, 0)
            case _:
                return in_english(value)

    def phrases(self, messages: Iterable[str]) -> tuple[str, ...]:
        """Return texts in the reader's language."""
        return tuple(map(self.phrase, messages))

    def number(self, value: object, digits: int = 3) -> Number:
        """Return a number rounded; a dash where there is none."""
        if not is_number(value):
            return Number(ABSENT)
        return Number(self.fixed(value, 0 if isinstance(value, int) else digits))

    def words(self, value: object) -> str:
        """Return a value of a card in words: no brackets, no quotes, rounded."""
        if isinstance(value, Mapping):
            named = (f"{str(k).replace('_', ' ')} {self.words(v)}" for k, v in value.items())
            return ", ".join(named)
        if isinstance(value, Sequence) and not isinstance(value, str):
            return ", ".join(map(self.words, value))
        if isinstance(value, bool):
            return self.phrase("yes") if value else self.phrase("no")
        if isinstance(value, float):
            return self.significant(value, 4)
        return self.phrase("none") if value is None else str(value)


ENGLISH = Writing()
