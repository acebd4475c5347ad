"""Sentences that can be translated: an English text with named gaps, and what stands in them.

Whoever shows one translates the text and writes numbers as its readers do. Everybody else, such as
logs and command line, has its English: ``str(sentence)``.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

# From here on decimals are of no use.
_WHOLE = 1000.0
_MOST_DECIMALS = 16
_PLAIN = re.compile(r"(?:[^%]|%\(\w+\)s)*")


@dataclass(frozen=True)
class Measured:
    """A number with its unit of measurement, which may be empty, both as people see them."""

    value: float
    unit: str = ""


@dataclass(frozen=True)
class Points:
    """A share of 1, to be written as percentage points."""

    share: float


@dataclass(frozen=True)
class Share:
    """A share of 1, to be written as per cent without decimals."""

    share: float


@dataclass(frozen=True)
class Count:
    """A number of things."""

    number: int


@dataclass(frozen=True)
class Number:
    """A number that is never converted: it is of a file, or has no unit.

    Attributes
    ----------
    decimals
        So many are written; None: as many as it has, in six digits.
    """

    value: float
    decimals: int | None = None


@dataclass(frozen=True)
class Code:
    """A stable code, such as the reason of a fault; people see what it means."""

    code: str


@dataclass(frozen=True)
class Moment:
    """A time as it is written in a file: people see it as other times, where it has a time zone."""

    written: str


@dataclass(frozen=True)
class English:
    """Words that there are in English only, such as a library's."""

    words: str


@dataclass(frozen=True)
class Listed:
    """Several values, one after the other."""

    parts: tuple["Value", ...]
    between: str = ", "


Value: TypeAlias = (
    "str | Measured | Points | Share | Count | Number | Code | Moment | English | Listed | Sentence"
)
Translate = Callable[[str], str]
Write = Callable[[Value], str]


@dataclass(frozen=True)
class Sentence:
    """A sentence, or a part of one.

    Attributes
    ----------
    text
        In English, with a gap such as ``%(feature)s`` for each value; what is translated.
    values
        What stands in the gaps.
    """

    text: str
    values: Mapping[str, Value] = field(default_factory=dict)

    def written(self, translate: Translate, write: Write) -> str:
        """Return the sentence in a language, with numbers as its readers write them."""
        gaps = {name: write(value) for name, value in self.values.items()}
        return translate(self.text) % gaps

    def __str__(self) -> str:
        return self.written(str, in_english)


def in_english(value: Value) -> str:  # noqa: PLR0911 - a line for each kind
    """Write a value in plain English."""
    match value:
        case Points(share):
            return f"{100 * share:+.0f}"
        case Measured(number, unit):
            written = f"{number:,.0f}" if abs(number) >= _WHOLE else f"{number:.4g}"
            return f"{written} {unit}".strip()
        case Share(share):
            return f"{share:.0%}"
        case Count(count):
            return f"{count:,}"
        case Number(number, decimals):
            return f"{number:g}" if decimals is None else f"{number:.{decimals}f}"
        case Code(text) | Moment(text) | English(text):
            return text
        case Listed(parts, between):
            return between.join(map(in_english, parts))
        case _:
            return str(value)


def either(names: Sequence[str]) -> Value:
    """Return names of which one is wanted: ``a or b or c``."""
    *before, last = names
    found: Value = last
    for name in reversed(before):
        found = Sentence("%(one)s or %(other)s", {"one": name, "other": found})
    return found


_KINDS: dict[str, type[Measured | Points | Share | Count | Number | Code | Moment | English]] = {
    "measured": Measured, "points": Points, "share": Share, "count": Count, "number": Number,
    "code": Code, "moment": Moment, "english": English,
}  # fmt: skip
_NAMES = {kind: name for name, kind in _KINDS.items()}


def sentence_json(sentence: Sentence) -> dict[str, Any]:
    """Return a sentence as JSON, to be kept beside its English; PostgreSQL takes no NUL in it."""
    values = {name: _value_json(value) for name, value in sentence.values.items()}
    return {"text": sentence.text, "values": values}


def _value_json(value: Value) -> object:
    match value:
        case Sentence():
            return sentence_json(value)
        case Listed(parts, between):
            return {"kind": "listed", "parts": [*map(_value_json, parts)], "between": between}
        case str():
            return value.replace("\0", "\ufffd")
        case Moment() | English():
            texts = {name: _value_json(text) for name, text in vars(value).items()}
            return {"kind": _NAMES[type(value)], **texts}
        case _:
            return {"kind": _NAMES[type(value)], **vars(value)}


def read_sentence(found: object) -> Sentence | None:
    """Return the sentence of :func:`sentence_json`; None of anything else."""
    try:
        sentence = _read(found)
        # Gaps without values, and values that no number is, show here.
        return sentence if isinstance(sentence, Sentence) and str(sentence) else None
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        return None


def _read(found: Any) -> Value:
    if isinstance(found, str):
        return found
    if "text" in found:
        text = found["text"]
        if _PLAIN.fullmatch(text) is None:
            raise ValueError("a gap has a format of its own, such as a width")
        values = {str(name): _read(value) for name, value in found["values"].items()}
        return Sentence(text, values)
    fields = {name: value for name, value in found.items() if name != "kind"}
    if (fields.get("decimals") or 0) not in range(_MOST_DECIMALS):
        raise ValueError("more decimals than anybody reads")
    if found["kind"] == "listed":
        return Listed(tuple(map(_read, fields["parts"])), str(fields["between"]))
    if found["kind"] in ("moment", "english"):
        fields = {name: str(text) for name, text in fields.items()}
    return _KINDS[found["kind"]](**fields)
