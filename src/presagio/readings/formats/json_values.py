"""JSON as it was written: values with their types, keys that stand there twice, what is no reading.

Needs no library for tables: the door that takes one JSON object uses it too.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import pydantic_core

from presagio.readings.rules import Reason

_SHOWN = 40
# From here on not every whole number is a float.
_LARGE = 1 << 53


class NoReading(NamedTuple):
    """What stands where a reading should: the code of its kind, and what is said of it."""

    reason: Reason
    message: str


_NO_OBJECT = NoReading(Reason.NO_OBJECT, "no JSON object")


class Repeated(dict[str, Any]):
    """An object of JSON with keys that stand there twice: nobody knows which value is meant."""

    keys_twice: frozenset[str] = frozenset()

    def fault(self, names: Iterable[str]) -> NoReading | None:
        """Say which of the keys that are needed stands there twice, if one does."""
        twice = next((name for name in names if name in self.keys_twice), None)
        text = f"the key {twice} stands there twice"
        return NoReading(Reason.REPEATED_KEY, text) if twice else None


def decode_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object of its members, as a hook of :func:`json.loads`; keep what stands twice."""
    made = dict(pairs)
    if len(made) == len(pairs):
        return made
    repeated = Repeated(made)
    counts = Counter(key for key, _ in pairs)
    repeated.keys_twice = frozenset(key for key, count in counts.items() if count > 1)
    return repeated


def decode_line(raw: bytes) -> Any:
    """Decode one value; never raises for what stands there."""
    try:
        # Faster, but takes the last one of keys that stand there twice.
        found = pydantic_core.from_json(raw)
        if isinstance(found, dict) and _may_repeat_keys(raw, found):
            found = json.loads(raw.decode(), object_pairs_hook=decode_object)
    except (ValueError, RecursionError):
        return NoReading(Reason.NO_JSON, "no JSON")
    return found


def _may_repeat_keys(raw: bytes, found: Mapping[str, Any]) -> bool:
    # Each key is followed by a colon; one within a text costs a closer look, no more.
    return raw.count(b":") > len(found)


def cell(value: object, *, is_text: bool) -> str | None:
    """Return a value as a cell of a table; ``is_text`` where text is what is wanted."""
    match value:
        case None | NoReading():
            return None
        case str():
            text = value if is_text else f'"{value[:_SHOWN]}"'
            # Half of a pair of surrogates is no character.
            return text if text.isascii() else text.encode("utf-8", "replace").decode()
        case bool():
            return str(value).lower()
        case int() | float():
            return _number(value)
    return "a list" if isinstance(value, list) else "an object"


def _number(value: float) -> str:
    if isinstance(value, float) or abs(value) < _LARGE:
        return str(value)
    try:
        return str(float(value))
    except OverflowError:
        return "inf" if value > 0 else "-inf"


def fault_of(value: object, names: Iterable[str]) -> NoReading | None:
    """Say why a value is no reading; ``names`` are the keys that are needed."""
    if isinstance(value, Repeated):
        return value.fault(names)
    if isinstance(value, dict):
        return None
    return value if isinstance(value, NoReading) else _NO_OBJECT


def reading_in(value: Any) -> Any:
    """Return the reading of a JSON list's item, which may stand within a request."""
    if isinstance(value, Repeated) and (fault := value.fault(["features"])):
        return fault
    return value.get("features", value) if isinstance(value, dict) else value
