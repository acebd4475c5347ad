"""Faults of a machine spec in words: where they are, what was expected, what came."""

from collections.abc import Iterator

from pydantic import ValidationError

_LONGEST_SHOWN = 60
_PLAIN = {"missing": "is missing", "extra_forbidden": "is no field of a machine spec"}


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def describe_faults(err: ValidationError) -> Iterator[str]:
    """Yield each fault as a line, such as ``features.0.unit: is missing``."""
    for fault in err.errors(include_url=False):
        place = ".".join(map(str, fault["loc"]))
        if fault["type"] == "value_error":
            words = fault["msg"].removeprefix("Value error, ")
        elif fault["type"] in _PLAIN:
            words = _PLAIN[fault["type"]]
        else:
            expected = fault["msg"].replace("Input should ", "should ")
            words = f"{expected}, got {_shown(fault['input'])}"
        yield f"{place}: {words}" if place else words
