"""The regression of the time that a unit has left: its parameters, and how far off it is.

The interval is conformal by unit: of each unit that a fold tests on every error counts as much as
those of another unit, whichever has more readings (Dunn, Wasserman and Ramdas 2022,
"Distribution-free prediction sets for two-layer hierarchical models").
"""

from dataclasses import dataclass

import joblib
import numpy as np
from numpy.typing import NDArray

from presagio.machine.spec import MachineSpec
from presagio.training.datasets.dataset import Floats
from presagio.training.datasets.mapped import release
from presagio.training.datasets.splitting import Folds, Part, make_folds
from presagio.training.detectors.features import FeatureSet, FeatureTable, widest_features
from presagio.training.detectors.remaining import RemainingSVR
from presagio.training.search.grids import (
    DEFAULT_GRID,
    Grid,
    parameter_points,
    remaining_grid,
)
from presagio.training.search.parallel import one_thread_a_fit

# An exact regression takes time that grows with the square of its rows, and an answer time that
# grows with its support vectors; more rows than these made no smaller error.
_MOST_ROWS = 8_000
# Errors are taken apart by what was predicted, up to these shares of the most.
_LEVELS = (0.25, 0.5, 0.75)


@dataclass(frozen=True)
class RemainingModel:
    """The time that a unit has left, with what is known of its errors.

    Attributes
    ----------
    regression
        Trained on the training part.
    features
        What it sees.
    levels, widths
        Half the interval: ``widths[i]`` of predictions below ``levels[i]``, the last one of all
        others.
    rmse
        Of out-of-fold predictions; longer lives count as the most.
    """

    regression: RemainingSVR
    features: FeatureSet
    levels: tuple[float, ...]
    widths: tuple[float, ...]
    rmse: float


def _usable(part: Part, seed: int) -> Part:
    """Return rows of lives that ended with a failure, no more than can be learned from."""
    if part.series is None:
        return part.take(np.arange(0))
    known = np.flatnonzero(~np.isnan(part.series.left))
    rng = np.random.default_rng(seed)
    chosen = rng.choice(known, size=min(_MOST_ROWS, len(known)), replace=False)
    some = part.take(np.sort(chosen))
    release(part.inputs)
    return some


def _out_of_fold(
    table: FeatureTable, features: FeatureSet, left: Floats, folds: Folds, one: RemainingSVR
) -> Floats:
    found = np.empty(len(left))
    for train, test in folds:
        fitted = RemainingSVR(**one.get_params()).fit(table.rows(features, train)[:], left[train])
        found[test] = fitted.predict(table.rows(features, test)[:])
    return found


def _widths(
    most: float, coverage: float, predicted: Floats, left: Floats, units: NDArray[np.generic]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    levels = tuple(share * most for share in _LEVELS)
    error = np.abs(np.minimum(left, most) - predicted)
    place = np.searchsorted(levels, predicted, side="right")
    widths = [
        unit_quantile(error[place == i], units[place == i], coverage)
        for i in range(len(levels) + 1)
    ]
    return levels, tuple(widths)


def unit_quantile(errors: Floats, units: NDArray[np.generic], coverage: float) -> float:
    """Return what so many errors are below, each unit's together counting as one.

    Parameters
    ----------
    errors, units
        Both of shape ``(n,)``.
    coverage
        The share, raised for how few units there are.
    """
    if not len(errors):
        return 0.0
    names, places, counts = np.unique(units, return_inverse=True, return_counts=True)
    order = np.argsort(errors)
    weights = np.cumsum(1.0 / counts[places][order]) / len(names)
    wanted = min(coverage * (1.0 + 1.0 / len(names)), 1.0)
    at = min(int(np.searchsorted(weights, wanted - 1e-12)), len(errors) - 1)
    return float(errors[order[at]])


def search_remaining(
    spec: MachineSpec,
    part: Part,
    *,
    divided_by: str | None,
    grid: Grid = DEFAULT_GRID,
    seed: int = 0,
) -> RemainingModel | None:
    """Choose and train the regression of the time left, where the machine spec wants one.

    Parameters
    ----------
    spec
        The machine spec.
    part
        The training part, complete.
    divided_by
        How it is divided into folds.
    grid
        Of the detectors; a small one makes a small search here too.
    seed
        Of samples and folds.

    Returns
    -------
    RemainingModel or None
        None where the spec wants none, or no life ended with a failure.
    """
    life = spec.remaining_life
    some = None if life is None else _usable(part, seed)
    if life is None or some is None or some.series is None or not len(some):
        return None
    most, features = life.longest / spec.day, widest_features(spec)
    table, left = FeatureTable(spec, some.inputs), some.series.left / spec.day
    folds = make_folds(some, divided_by, seed=seed)
    points = parameter_points(remaining_grid(grid), len(features.columns))
    tried = [RemainingSVR(most, **point) for point in points]
    with one_thread_a_fit():
        predicted: list[Floats] = joblib.Parallel()(
            joblib.delayed(_out_of_fold)(table, features, left, folds, one) for one in tried
        )
    errors = [np.sqrt(np.mean((np.minimum(left, most) - found) ** 2)) for found in predicted]
    best = int(np.argmin(errors))
    levels, widths = _widths(most, life.coverage, predicted[best], left, some.series.units)
    regression = RemainingSVR(**tried[best].get_params()).fit(table.rows(features)[:], left)
    return RemainingModel(regression, features, levels, widths, float(errors[best]))
