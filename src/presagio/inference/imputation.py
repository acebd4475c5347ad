"""Missing values: what stands in for them, and how a model is told.

The one definition, for training and serving alike. A reading lacks a value where it is NaN. What
its unit had last stands in where the machine spec wants it and it is known (:mod:`.last_known`),
else its feature's median in the training part, and a flag beside the inputs says so (Josse et al.
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
            Shape ``(n, k)``, the columns of ``spec.input_names``; or with flags, of the shape that
            is returned, where values were carried forward.

        Returns
        -------
        ndarray
            Shape ``(n, m)``, the columns of ``spec.model_inputs``, without gaps.
        """
        if not self._places:
            return rows
        gaps = np.isnan(rows[:, self._places])
        if rows.shape[1] == len(self.spec.model_inputs):
            if not gaps.any():
                return rows
            filled = rows.copy()
        else:
            filled = np.hstack([rows, gaps])
        filled[:, self._places] = np.where(gaps, self._values, rows[:, self._places])
        return filled


def as_read(spec: MachineSpec, rows: Floats) -> Floats:
    """Return rows as they were read, shape ``(n, k)``: NaN where a value is missing.

    Parameters
    ----------
    spec
        The machine spec.
    rows
        Shape ``(n, k)``, or with flags ``(n, m)``.
    """
    width = len(spec.input_names)
    if rows.shape[1] == width or not spec.optional_names:
        return rows
    read = rows[:, :width].copy()
    for flag, name in enumerate(spec.optional_names, start=width):
        read[rows[:, flag] > 0, spec.input_names.index(name)] = np.nan
    return read


def fit_imputation(spec: MachineSpec, rows: Floats) -> Imputation:
    """Take the medians of what was read; of a feature that all rows lack, its example.

    Parameters
    ----------
    spec
        The machine spec.
    rows
        Shape ``(n, k)``, or with flags ``(n, m)``: what was carried forward does not count twice.
    """
    medians = {}
    for flag, name in enumerate(spec.optional_names, start=len(spec.input_names)):
        values = rows[:, spec.input_names.index(name)]
        known = ~np.isnan(values)
        if rows.shape[1] > flag:
            known &= rows[:, flag] == 0
        typical = spec.features[spec.feature_names.index(name)].typical
        medians[name] = float(np.median(values[known])) if known.any() else typical
    return Imputation(spec, medians)


def missing_in(spec: MachineSpec, values: Sequence[float]) -> list[str]:
    """Return the names of the features that one reading lacks, from the values of its inputs."""
    if not spec.optional_names:
        return []
    return [name for name, value in zip(spec.input_names, values, strict=True) if value != value]  # noqa: PLR0124
