"""How much a benchmark measures: all, what fits into minutes, or so little that it only runs."""

from enum import StrEnum
from typing import TypeVar

T = TypeVar("T")


class Size(StrEnum):
    """The sizes, by the option that asks for each."""

    FULL = "full"
    QUICK = "quick"
    SMOKE = "smoke"

    def pick(self, full: T, quick: T, smoke: T) -> T:
        """Return the value that belongs to this size."""
        return {Size.FULL: full, Size.QUICK: quick, Size.SMOKE: smoke}[self]
