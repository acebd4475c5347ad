"""Faults of a machine spec in words: where they are, what was expected, what came."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pydantic import ValidationError

from presagio.machine.spec_lines import SpecLines

Place = tuple[int | str, ...]
_LONGEST_SHOWN = 60
_PLAIN = {"missing": "is missing", "extra_forbidden": "is no field of a machine spec"}


class SpecFault(NamedTuple):
    """What is wrong with a machine spec: on which line, at which key, in words."""

    line: int | None
    place: str
    message: str

    def __str__(self) -> str:
        """Return it as a line, such as ``line 12: features.0.unit: is missing``."""
        where = [f"line {self.line}"] if self.line else []
        return ": ".join([*where, *([self.place] if self.place else []), self.message])


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def _is_within(place: Place, others: Sequence[Place]) -> bool:
    return any(len(other) > len(place) and other[: len(place)] == place for other in others)


def describe_faults(err: ValidationError, text: str) -> Iterator[SpecFault]:
    """Yield each fault, with its line in the text of the file."""
    lines, found = SpecLines(text), err.errors(include_url=False)
    for fault in found:
        if fault["type"] == "too_short" and _is_within(
            fault["loc"], [each["loc"] for each in found]
        ):
            # Of a list whose entries are at fault the library says that it is empty, too.
            continue
        if fault["type"] == "value_error":
            words = fault["msg"].removeprefix("Value error, ")
        elif fault["type"] in _PLAIN:
            words = _PLAIN[fault["type"]]
        else:
            expected = fault["msg"].replace("Input should ", "should ")
            words = f"{expected}, got {_shown(fault['input'])}"
        place = ".".join(map(str, fault["loc"]))
        yield SpecFault(lines.of(fault["loc"], words), place, words)
