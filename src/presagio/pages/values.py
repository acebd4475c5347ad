"""Values of a card's JSON, whoever wrote it: what is missing or of another kind breaks nothing."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

Card = Mapping[str, Any]
Point = tuple[float, float]
ABSENT = "-"
_LARGEST = 10**15


def mapping(card: Card, name: str) -> Card:
    """Return an object within an object; empty where there is none."""
    found = card.get(name) if isinstance(card, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def is_number(value: object) -> TypeGuard[float]:
    """Say whether a value is a finite number that fits a table."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < _LARGEST  # NaN is not


def numbers(found: object) -> list[float]:
    """Return a list of numbers; empty where it is none, or anything else is in it."""
    if not isinstance(found, list) or not all(map(is_number, found)):
        return []
    return [float(value) for value in found]


def points(found: object) -> list[Point]:
    """Return a list of points; what is none is left out."""
    if not isinstance(found, Sequence) or isinstance(found, str):
        return []
    return [
        (float(point[0]), float(point[1])) for point in found
        if isinstance(point, Sequence) and len(point) >= 2 and all(map(is_number, point[:2]))  # noqa: PLR2004
    ]  # fmt: skip
