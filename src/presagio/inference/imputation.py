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

from presagio.inference.conditions import Conditions
from presagio.inference.event_features import without_event
from presagio.inference.series import SeriesFeatures
from presagio.machine.learning import AGE
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
        A value for each name in ``spec.imputed_names``.
    conditions
        Where windows are by condition.
    """

    spec: MachineSpec
    medians: Mapping[str, float]
    conditions: Conditions | None = None

    @cached_property
    def _places(self) -> list[int]:
        return [self.spec.input_names.index(name) for name in self.spec.optional_names]

    @cached_property
    def _counted(self) -> list[int]:
        return [self.spec.input_names.index(name) for name in self.spec.counted_names]

    @cached_property
    def _values(self) -> Floats:
        return np.array([self.medians[name] for name in self.spec.optional_names])

    def complete(self, rows: Floats) -> Floats:
        """Put medians in the place of gaps, and flags beside the inputs.

        Parameters
        ----------
        rows
            Shape ``(n, k)``, the columns of ``spec.input_names``, each a reading by itself; or of
            the shape that is returned, as :class:`.series.SeriesFeatures` makes them.

        Returns
        -------
        ndarray
            Shape ``(n, m)``, the columns of ``spec.model_inputs``, without gaps.
        """
        rows = without_event(rows, self._counted)
        if rows.shape[1] == len(self.spec.model_inputs):
            if not (self._places or self.spec.window_names) or not np.isnan(rows).any():
                return rows
            filled = rows.copy()
        elif not self._places and not self.spec.window_names:
            return rows
        elif self.spec.window_names:
            # Each is all that is known of its unit, and nobody knows how old that is.
            features = SeriesFeatures(self.spec, self.conditions)
            filled = features.expand(rows, np.arange(len(rows)), np.zeros(len(rows)))
            filled[:, [i for i, n in enumerate(self.spec.model_inputs) if n == AGE]] = np.nan
        else:
            filled = np.hstack([rows, np.isnan(rows[:, self._places])])
        gaps = np.isnan(filled[:, self._places])
        filled[:, self._places] = np.where(gaps, self._values, filled[:, self._places])
        return self._with_windows(filled) if self.spec.window_names else filled

    def _with_windows(self, filled: Floats) -> Floats:
        """Fill windows of which nothing is known: the reading is all there is of its unit."""
        places = {name: i for i, name in enumerate(self.spec.model_inputs)}
        for column in self.spec.window_columns:
            values = filled[:, places[column.name]]
            # A level of a condition is beside 0.
            level = column.is_level and self.conditions is None
            one = filled[:, places[column.feature]] if level else 0.0
            values[:] = np.where(np.isnan(values), one, values)
        if AGE in self.medians:
            values = filled[:, places[AGE]]
            values[:] = np.where(np.isnan(values), self.medians[AGE], values)
        return filled


def input_columns(spec: MachineSpec, rows: Floats) -> dict[str, Floats]:
    """Return the columns of rows by the spec's names for them; no copies.

    Shape ``(n, k)`` as they were read, or ``(n, m)`` with what a model takes besides.
    """
    return dict(zip(spec.model_inputs[: rows.shape[1]], rows.T, strict=True))


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
    if rows.shape[1] == width:
        return rows
    read = rows[:, :width].copy()
    for flag, name in enumerate(spec.optional_names, start=width):
        read[rows[:, flag] > 0, spec.input_names.index(name)] = np.nan
    return read


def fit_imputation(
    spec: MachineSpec, rows: Floats, conditions: Conditions | None = None
) -> Imputation:
    """Take the medians of what was read; of a feature that all rows lack, its example.

    Parameters
    ----------
    spec
        The machine spec.
    rows
        Shape ``(n, k)``, or with flags ``(n, m)``: what was carried forward does not count twice.
    conditions
        Where windows are by condition.
    """
    medians = {}
    for flag, name in enumerate(spec.optional_names, start=len(spec.input_names)):
        values = rows[:, spec.input_names.index(name)]
        known = ~np.isnan(values)
        if rows.shape[1] > flag:
            known &= rows[:, flag] == 0
        typical = spec.features[spec.feature_names.index(name)].typical
        medians[name] = float(np.median(values[known])) if known.any() else typical
    if AGE in spec.imputed_names:
        medians[AGE] = float(np.median(rows[:, spec.model_inputs.index(AGE)]))
    return Imputation(spec, medians, conditions)


def missing_in(spec: MachineSpec, values: Sequence[float]) -> list[str]:
    """Return the names of the features that one reading lacks, from the values of its inputs."""
    if not spec.optional_names:
        return []
    return [name for name, value in zip(spec.input_names, values, strict=True) if value != value]  # noqa: PLR0124
