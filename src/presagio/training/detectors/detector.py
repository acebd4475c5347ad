"""What a detector is: trained on features of readings, and written into the artifact's graph."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from presagio.training.datasets.mapped import Positions
from presagio.training.detectors.graph import Columns, Graph

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Precision = Literal["double", "single"]


class FeatureRows(Protocol):
    """Features of ``n`` readings, not yet scaled: an array of shape ``(n, k)``.

    Or what computes the rows that it is asked for, where they are too many to be held.
    """

    def __len__(self) -> int:
        """Return the number of rows."""
        ...

    def __getitem__(self, rows: Positions | slice, /) -> Floats:
        """Return some rows, shape ``(m, k)``."""
        ...


@dataclass(frozen=True)
class Decisions:
    """Decision functions in a graph: ``sum(matrix @ weights) + intercepts``.

    Attributes
    ----------
    terms
        Names of matrices in the graph, shape ``(n, m)``, with weights of shape ``(m, d)`` for
        ``d`` detectors.
    intercepts
        Shape ``(d,)``.
    """

    terms: Sequence[tuple[str, Floats]]
    intercepts: Floats


class GraphPart(Protocol):
    """What a trained detector computes, ready for the graph.

    Parts of one class are written together, so that detectors share nodes: a single row takes the
    longer the more nodes there are.
    """

    @classmethod
    def write(
        cls, graph: Graph, sources: Sequence[Columns], parts: Sequence[Self], precision: Precision
    ) -> Decisions:
        """Write all parts of this class.

        Parameters
        ----------
        graph
            Where to.
        sources
            Matrices whose columns are the inputs and quantities, and the distances to limits.
        parts
            ``d`` of them.
        precision
            Of what takes long to compute.
        """
        ...


class Detector(Protocol):
    """An estimator that tells rows of one label from all others by their features.

    Each implementation is a module, and a line of
    :data:`presagio.training.detectors.plans.METHODS`.
    """

    def fit(self, features: FeatureRows, target: Bools) -> Self:
        """Learn from ``n`` rows; the target has shape ``(n,)``."""
        ...

    def decision_function(self, features: FeatureRows) -> Floats:
        """Return the signed distance from the boundary, shape ``(n,)``; alarms are above 0."""
        ...

    @property
    def size(self) -> int:
        """How many vectors a prediction is computed from; 0 where it takes next to no time."""
        ...

    def graph_part(self, columns: tuple[str, ...]) -> GraphPart:
        """Return what it computes from features with these names."""
        ...
