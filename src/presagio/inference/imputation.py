"""Missing values: what stands in for them, and how a model is told.

The one definition, for training and serving alike. A reading lacks a value where it is NaN. Its
feature's median in the training part stands in, and a flag beside the inputs says so (Josse et al.
2019, "On the consistency of supervised learning with missing values": with such a flag a model can
learn from the gap itself).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from presagio.machine.spec import MachineSpec

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Imputation:
    """What stands in for the missing values of a machine's readings.

    Attributes
    ----------
    spec
        The machine spec.
    medians
        A value for each name in ``spec.optional_names``.
    """

    spec: MachineSpec
    medians: Mapping[str, float]

    @cached_property
    def _places(self) -> list[int]:
        return [self.spec.input_names.index(name) for name in self.spec.optional_names]

    @cached_property
    def _values(self) -> Floats:
        return np.array([self.medians[name] for name in self.spec.optional_names])

    def complete(self, rows: Floats) -> Floats:
        """Put medians in the place of gaps, and flags beside the inputs.

        Parameters
        ----------
        rows
            Shape ``(n, k)``, the columns of ``spec.input_names``. Rows of the shape that is
            returned are complete already, and are left as they are.

        Returns
        -------
        ndarray
            Shape ``(n, m)``, the columns of ``spec.model_inputs``, without gaps.
        """
        if not self._places or rows.shape[1] == len(self.spec.model_inputs):
            return rows
        gaps = np.isnan(rows[:, self._places])
        filled = np.hstack([rows, gaps])
        filled[:, self._places] = np.where(gaps, self._values, rows[:, self._places])
        return filled

    def with_gaps(self, completed: Floats) -> Floats:
        """Return completed rows as they were read, shape ``(n, k)``: NaN where one is missing."""
        if not self._places:
            return completed
        width = len(self.spec.input_names)
        rows = completed[:, :width].copy()
        rows[:, self._places] = np.where(
            completed[:, width:] > 0, np.nan, completed[:, self._places]
        )
        return rows


def fit_imputation(spec: MachineSpec, rows: Floats) -> Imputation:
    """Take the medians of readings, shape ``(n, k)``; of a feature that all lack, its example."""
    medians = {}
    for feature in spec.features:
        if feature.name in spec.optional_names:
            values = rows[:, spec.input_names.index(feature.name)]
            known = values[~np.isnan(values)]
            medians[feature.name] = float(np.median(known)) if len(known) else feature.typical
    return Imputation(spec, medians)


def missing_in(spec: MachineSpec, values: Sequence[float]) -> list[str]:
    """Return the names of the features that one reading lacks, from the values of its inputs."""
    if not spec.optional_names:
        return []
    return [name for name, value in zip(spec.input_names, values, strict=True) if value != value]  # noqa: PLR0124
