"""Operating conditions: what a sensor says hangs on how the machine is run.

Conditions are clusters of some columns, learned on the training part. A value is standardised by
the mean and standard deviation that its feature has in the condition of its reading, so that
windows compare readings of different conditions.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from presagio.inference.manifest import ConditionTable
from presagio.machine.spec import MachineSpec

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Conditions:
    """Clusters, and what features are in each.

    Attributes
    ----------
    settings, features
        Places of the columns in a reading's inputs: what conditions are told by, and what is
        standardised.
    middle, scale
        By which settings are standardised, shape ``(s,)``.
    centres
        Of the conditions, in standardised settings, shape ``(c, s)``.
    means, deviations
        Of each feature in each condition, shape ``(c, k)``.
    """

    settings: list[int]
    features: list[int]
    middle: Floats
    scale: Floats
    centres: Floats
    means: Floats
    deviations: Floats

    def of(self, rows: Floats) -> NDArray[np.int64]:
        """Return the condition of each row, shape ``(n,)``; rows have shape ``(n, k)`` or more."""
        settings = (rows[:, self.settings] - self.middle) / self.scale
        # A setting that is not known says nothing.
        known = np.where(np.isnan(settings), 0.0, settings)
        distances = ((known[:, None] - self.centres) ** 2).sum(axis=2)
        nearest: NDArray[np.int64] = distances.argmin(axis=1)
        return nearest

    def standardise(self, rows: Floats) -> Floats:
        """Return the features of rows, standardised, shape ``(n, k)``; NaN stays."""
        condition = self.of(rows)
        found: Floats = (rows[:, self.features] - self.means[condition]) / self.deviations[
            condition
        ]
        return found

    def table(self) -> ConditionTable:
        """Return what a manifest says of them."""
        return ConditionTable(
            middle=tuple(self.middle), scale=tuple(self.scale),
            centres=tuple(map(tuple, self.centres)), means=tuple(map(tuple, self.means)),
            deviations=tuple(map(tuple, self.deviations)),
        )  # fmt: skip


def read_conditions(spec: MachineSpec, table: ConditionTable | None) -> Conditions | None:
    """Return the conditions of a manifest; None where the machine spec has none.

    Raises
    ------
    ValueError
        If the table is missing, or has another shape than the machine spec.
    """
    windows = spec.windows
    if windows is None or not windows.by_condition:
        if table is not None:
            raise ValueError("there are conditions, and the machine spec has none")
        return None
    if table is None:
        raise ValueError("there are no conditions, and the machine spec has some")
    settings = [spec.input_names.index(name) for name in windows.by_condition]
    features = [spec.input_names.index(name) for name in spec.windowed_names]
    found = Conditions(
        settings, features, np.array(table.middle), np.array(table.scale),
        np.array(table.centres), np.array(table.means), np.array(table.deviations),
    )  # fmt: skip
    count = len(table.centres)
    shapes = {
        "middle": (len(settings),), "scale": (len(settings),), "centres": (count, len(settings)),
        "means": (count, len(features)), "deviations": (count, len(features)),
    }  # fmt: skip
    wrong = [name for name, shape in shapes.items() if getattr(found, name).shape != shape]
    if wrong or not count or (found.scale <= 0).any() or (found.deviations <= 0).any():
        raise ValueError(
            f"conditions: {', '.join(wrong) or 'a deviation'} is not what it has to be"
        )
    return found
