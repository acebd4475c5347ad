"""Sentences that can be translated: an English text with named gaps, and what stands in them.

Whoever shows one translates the text and writes numbers as its readers do.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

# From here on decimals are of no use.
_WHOLE = 1000.0


@dataclass(frozen=True)
class Measured:
    """A number with its unit of measurement, which may be empty; both as people see them."""

    value: float
    unit: str = ""


@dataclass(frozen=True)
class Points:
    """A share of 1, to be written as percentage points."""

    share: float


Value = str | Measured | Points
Translate = Callable[[str], str]
Write = Callable[[Value], str]


@dataclass(frozen=True)
class Sentence:
    """A sentence.

    Attributes
    ----------
    text
        In English, with a gap such as ``%(feature)s`` for each value; what is translated.
    values
        What stands in the gaps.
    """

    text: str
    values: Mapping[str, Value]

    def written(self, translate: Translate, write: Write) -> str:
        """Return the sentence in a language, with numbers as its readers write them."""
        gaps = {name: write(value) for name, value in self.values.items()}
        return translate(self.text) % gaps

    def __str__(self) -> str:
        return self.written(str, in_english)


def in_english(value: Value) -> str:
    """Write a value in plain English."""
    if isinstance(value, Points):
        return f"{100 * value.share:+.0f}"
    if isinstance(value, Measured):
        whole = abs(value.value) >= _WHOLE
        text = f"{value.value:,.0f}" if whole else f"{value.value:.4g}"
        return f"{text} {value.unit}".strip()
    return value
