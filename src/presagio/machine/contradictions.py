"""The one rule for indicators of a category: at most one of them is true, at every door."""

from collections.abc import Sequence
from typing import Any

# What a door calls the fault of a reading with two values of one category.
CONTRADICTION = "contradiction"


def contradict(flags: Sequence[Any]) -> Any:
    """Tell whether more than one indicator of a category is true.

    Parameters
    ----------
    flags
        The indicators as numbers or booleans, or columns of them: NumPy arrays, or Polars
        expressions of integers.

    Returns
    -------
    Any
        A boolean for booleans, a column of booleans for columns.
    """
    return sum(flags) > 1
