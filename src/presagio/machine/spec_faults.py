"""Faults of a machine spec in words: where they are, what was expected, what came."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from presagio.machine.spec_lines import Place, SpecLines
from presagio.sentences import English, Sentence, Value

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_LONGEST_SHOWN = 60
_GAP = re.compile(r"%\((\w+)\)s")
_COMPLETE = {
    "missing": Sentence("is missing"),
    "extra_forbidden": Sentence("is no field of a machine spec"),
}
# What pydantic expects, by its type of the fault, as it words it; the gaps are its own.
_EXPECTED = {
    "string_type": Sentence("should be a valid string"),
    "string_pattern_mismatch": Sentence("String should match pattern '%(pattern)s'"),
    "bool_type": Sentence("should be a valid boolean"),
    "bool_parsing": Sentence("should be a valid boolean, unable to interpret input"),
    "int_type": Sentence("should be a valid integer"),
    "int_parsing": Sentence("should be a valid integer, unable to parse string as an integer"),
    "int_from_float": Sentence("should be a valid integer, got a number with a fractional part"),
    "float_type": Sentence("should be a valid number"),
    "float_parsing": Sentence("should be a valid number, unable to parse string as a number"),
    "finite_number": Sentence("should be a finite number"),
    "tuple_type": Sentence("should be a valid tuple"),
    "dict_type": Sentence("should be a valid dictionary"),
    "model_type": Sentence("should be a valid dictionary or instance of %(class_name)s"),
    "literal_error": Sentence("should be %(expected)s"),
    "greater_than": Sentence("should be greater than %(gt)s"),
    "greater_than_equal": Sentence("should be greater than or equal to %(ge)s"),
    "less_than": Sentence("should be less than %(lt)s"),
    "less_than_equal": Sentence("should be less than or equal to %(le)s"),
    "too_short": Sentence(
        "Tuple should have at least %(min_length)s item after validation, not %(actual_length)s"
    ),
    "too_long": Sentence(
        "Tuple should have at most %(max_length)s items after validation, not %(actual_length)s"
    ),
}


class SpecFaultError(ValueError):
    """What a table of a machine spec refuses; pydantic keeps it with the place."""

    def __init__(self, sentence: Sentence) -> None:
        super().__init__(str(sentence))
        self.sentence = sentence


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def _is_within(place: Place, others: Sequence[Place]) -> bool:
    return any(len(other) > len(place) and other[: len(place)] == place for other in others)


def _value(found: object) -> Value:
    if isinstance(found, float):
        # As the file takes it: with a point before decimals in any language.
        return f"{found:g}"
    # Of several values that are allowed the last one comes after an "or".
    others, either, last = str(found).rpartition(" or ")
    return Sentence("%(one)s or %(other)s", {"one": others, "other": last}) if either else last


def _expected(kind: str, message: str, context: Mapping[str, Any]) -> Value:
    """Return what was expected instead; in English only where pydantic words it otherwise."""
    known = _EXPECTED.get(kind)
    if known is None:
        return English(message)
    values = {name: _value(context.get(name)) for name in _GAP.findall(known.text)}
    sentence = Sentence(known.text, values)
    return sentence if str(sentence) == message else English(message)


def _in_words(fault: "ErrorDetails") -> Sentence:
    kind, context = fault["type"], fault.get("ctx", {})
    refusal = context.get("error")
    if isinstance(refusal, SpecFaultError):
        return refusal.sentence
    if kind in _COMPLETE:
        return _COMPLETE[kind]
    expected = _expected(kind, fault["msg"].replace("Input should ", "should "), context)
    return Sentence(
        "%(expected)s, got %(got)s", {"expected": expected, "got": _shown(fault["input"])}
    )


def describe_faults(err: ValidationError, text: str) -> Iterator[Sentence]:
    """Yield each fault, such as ``line 12: features.0.unit: is missing``.

    The line is that in the text of the file.
    """
    lines, found = SpecLines(text), err.errors(include_url=False)
    for fault in found:
        place = fault["loc"]
        if fault["type"] == "too_short" and _is_within(place, [each["loc"] for each in found]):
            # Of a list whose entries are at fault the library says that it is empty, too.
            continue
        sentence = _in_words(fault)
        line = lines.of(place, str(sentence))
        if place:
            values: dict[str, Value] = {"place": ".".join(map(str, place)), "fault": sentence}
            sentence = Sentence("%(place)s: %(fault)s", values)
        if line:
            sentence = Sentence(
                "line %(line)s: %(faults)s", {"line": str(line), "faults": sentence}
            )
        yield sentence
