"""The rules of a reading for columns as NumPy arrays: tensors that are sent."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from presagio.machine.spec import MachineSpec
from presagio.readings.rules import (
    FlagRule,
    NumberRule,
    Reason,
    contradict,
    contradiction,
    input_rules,
)

# Of each column so many are named.
_MOST_FAULTS = 10


class CellFault(NamedTuple):
    """What is wrong with a value: in which row, and by which rule."""

    row: int
    rule: NumberRule | FlagRule
    reason: Reason
    value: object


class RowFault(NamedTuple):
    """What is wrong with a row as a whole: what came, what is allowed."""

    row: int
    reason: Reason
    got: str
    allowed: str


def check_arrays(
    columns: Sequence[NDArray[Any]], spec: MachineSpec
) -> tuple[NDArray[np.float64], list[CellFault | RowFault]]:
    """Check columns of numbers and booleans, or of the values that JSON has.

    Parameters
    ----------
    columns
        The inputs in the order of the spec, in its units, each of shape ``(n,)``.
    spec
        The machine spec.

    Returns
    -------
    tuple of NDArray and list
        Shape ``(n, k)``, NaN where a value is none; and what is wrong, in part where it is much.
    """
    faults: list[CellFault | RowFault] = []
    inputs = np.empty((len(columns[0]), len(columns)))
    for i, (rule, column) in enumerate(zip(input_rules(spec), columns, strict=True)):
        inputs[:, i], wrong = _checked(rule, column)
        for row in np.flatnonzero(wrong)[:_MOST_FAULTS]:
            value = column[row].item() if isinstance(column[row], np.generic) else column[row]
            if (reason := rule.reason(value)) is not None:
                faults.append(CellFault(int(row), rule, reason, value))
    for category in spec.categories:
        flags = [inputs[:, spec.input_names.index(name)] for name in category.indicators.values()]
        got, allowed = contradiction(category)
        faults += [
            RowFault(int(row), Reason.CONTRADICTION, got, allowed)
            for row in np.flatnonzero(contradict(flags))[:_MOST_FAULTS]
        ]
    return inputs, faults


def _checked(
    rule: NumberRule | FlagRule, column: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    if column.dtype == object:
        wrong = np.array([rule.reason(value) is not None for value in column], bool)
    elif column.dtype == bool and isinstance(rule, NumberRule):
        wrong = np.ones(len(column), bool)
    else:
        wrong = ~rule.holds(column.astype(np.float64))
    return np.where(wrong, np.nan, column).astype(np.float64), wrong
