"""Pieces of an ONNX graph: nodes, constants, matrices whose columns have names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

Floats = NDArray[np.float64]


class Graph:
    """Collects nodes and constants; every method returns the name of its result."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.type: type[np.floating[Any]] = np.float64

    def constant(self, value: NDArray[np.generic] | Sequence[float] | float) -> str:
        """Write a constant of any shape; real numbers in the precision that ``type`` says now."""
        name, array = f"c{len(self.constants)}", np.asarray(value)
        if array.dtype == np.float64:
            array = array.astype(self.type)
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def node(
        self, operator: str, *inputs: str, output: str | None = None, **attributes: Any
    ) -> str:
        """Write a node."""
        name = output or f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        return name

    def affine(self, rows: str, weights: Floats, start: Floats, output: str | None = None) -> str:
        """Write ``rows @ weights + start``; weights of shape ``(m, k)``, the start of ``(k,)``."""
        biases = self.constant(start.reshape(1, -1))
        return self.node("Gemm", rows, self.constant(weights), biases, output=output)

    def beside(self, *matrices: str) -> str:
        """Write matrices side by side."""
        return matrices[0] if len(matrices) == 1 else self.node("Concat", *matrices, axis=1)


@dataclass(frozen=True)
class Sum:
    """A weighted sum of columns, and a constant."""

    terms: Mapping[str, float]
    start: float = 0.0

    def scaled(self, factor: float, minus: float) -> "Sum":
        """Return ``(self - minus) * factor``."""
        terms = {name: weight * factor for name, weight in self.terms.items()}
        return Sum(terms, (self.start - minus) * factor)


@dataclass(frozen=True)
class Columns:
    """A matrix in the graph, and the names of its columns."""

    matrix: str
    names: tuple[str, ...]

    def sums(self, graph: Graph, sums: Sequence[Sum], output: str | None = None) -> str:
        """Write one column for each sum."""
        weights = np.zeros((len(self.names), len(sums)))
        for i, column in enumerate(sums):
            for name, weight in column.terms.items():
                weights[self.names.index(name), i] += weight
        starts = np.array([column.start for column in sums])
        return graph.affine(self.matrix, weights, starts, output)
