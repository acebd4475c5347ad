"""Parameters that a search tries, by the name that settings and cards call them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np

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
GRIDS: Mapping[GridName, Grid] = {"full": DEFAULT_GRID, "small": SMALL_GRID}


def parameter_points(grid: Grid) -> Iterator[dict[str, Any]]:
    """Yield every point of a grid."""
    for part in grid:
        for values in np.ndindex(*(len(choices) for choices in part.values())):
            yield {
                name: choices[i] for (name, choices), i in zip(part.items(), values, strict=True)
            }


def grid_name(grid: Grid) -> str:
    """Return the name of a grid; ``custom`` for one that has none."""
    return next((name for name, known in GRIDS.items() if known == grid), "custom")
