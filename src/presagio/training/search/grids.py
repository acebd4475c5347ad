"""Parameters that a search tries, by the name that settings and cards call them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from presagio.training.detectors.features import WINDOWS, FeatureSet

# A width of the kernel that is divided by how many columns there are.
PER_COLUMN = "gamma_per_column"
Grid = Sequence[Mapping[str, Sequence[Any]]]
GridName = Literal["full", "small"]

DEFAULT_GRID: Grid = (
    {"kernel": ["linear"], "C": [0.1, 1.0, 10.0]},
    {"kernel": ["rbf"], "C": [10.0, 100.0, 1000.0], "gamma": [0.1, 0.5, 2.0]},
    {"kernel": ["poly"], "C": [10.0], "degree": [2, 3], "coef0": [1.0], "gamma": [0.1]},
    {"kernel": ["linear"], "C": [1.0], "class_weight": ["balanced"]},
    {"kernel": ["rbf"], "C": [1.0], "gamma": [0.5], "class_weight": ["balanced"]},
)
# For tests and CI, which train often and check the program, not the model.
SMALL_GRID: Grid = (
    {"kernel": ["linear"], "C": [1.0]},
    {"kernel": ["rbf"], "C": [10.0], "gamma": [0.5]},
)
# The reference model's: linear, on raw inputs. It oversampled failures to half of all rows, which
# to an SVM is the same as weighting them so.
REFERENCE_GRID: Grid = (
    {"kernel": ["linear"], "C": [0.01, 0.11, 10.0], "class_weight": ["balanced"]},
)
# For windows, of which there are many: a kernel's distance is a sum over all columns, so its width
# is given by the column. Nothing is weighted: it did worse on every set of series.
WINDOW_GRID: Grid = (
    {"kernel": ["linear"], "C": [0.01, 0.1]},
    {"kernel": ["rbf"], "C": [1.0, 10.0, 100.0], PER_COLUMN: [0.1, 0.3, 1.0]},
)
SMALL_WINDOW_GRID: Grid = ({"kernel": ["rbf"], "C": [10.0], PER_COLUMN: [0.2]},)
# For the time that a unit has left.
REMAINING_GRID: Grid = ({"C": [30.0, 300.0], PER_COLUMN: [0.1, 0.3]},)
SMALL_REMAINING_GRID: Grid = ({"C": [300.0], PER_COLUMN: [0.3]},)
GRIDS: Mapping[GridName, Grid] = {"full": DEFAULT_GRID, "small": SMALL_GRID}


def parameter_points(grid: Grid, columns: int = 1) -> Iterator[dict[str, Any]]:
    """Yield every point of a grid, for so many columns."""
    for part in grid:
        for values in np.ndindex(*(len(choices) for choices in part.values())):
            point = {
                name: choices[i] for (name, choices), i in zip(part.items(), values, strict=True)
            }
            if PER_COLUMN in point:
                point["gamma"] = point.pop(PER_COLUMN) / columns
            yield point


def grid_of(features: FeatureSet, grid: Grid) -> Grid:
    """Return what is tried with a set of features."""
    if features.name != WINDOWS:
        return grid
    return SMALL_WINDOW_GRID if grid == SMALL_GRID else WINDOW_GRID


def remaining_grid(grid: Grid) -> Grid:
    """Return what is tried for the time left where detectors are searched by a grid."""
    return SMALL_REMAINING_GRID if grid == SMALL_GRID else REMAINING_GRID


def grid_name(grid: Grid) -> str:
    """Return the name of a grid; ``custom`` for one that has none."""
    return next((name for name, known in GRIDS.items() if known == grid), "custom")
