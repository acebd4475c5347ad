"""From a trained pipeline to one ONNX graph: raw inputs in, score and probability out.

The kernel is written out in plain nodes. On an RBF machine with 600 support vectors that ran
7 times faster in bulk than ONNX Runtime's own SVM operator (design, baselines).
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from sklearn.pipeline import Pipeline
from sklearn.svm import SVC

from presagio.errors import InvalidArtifactError
from presagio.machine.spec import MachineSpec
from presagio.training.search import Calibration

_OPSET = 17
_IR_VERSION = 8


class _Graph:
    """Collects nodes and constants; every method returns the name of its result."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, value: NDArray[np.generic] | Sequence[float] | float) -> str:
        name = f"c{len(self.constants)}"
        array = np.asarray(value)
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def node(
        self, operator: str, *inputs: str, output: str | None = None, **attributes: Any
    ) -> str:
        name = output or f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        return name


def _dual(graph: _Graph, kernel: str, svc: SVC) -> str:
    return graph.node("MatMul", kernel, graph.constant(svc.dual_coef_.reshape(-1, 1)))


def _linear(graph: _Graph, scaled: str, svc: SVC) -> str:
    return graph.node("MatMul", scaled, graph.constant(svc.coef_.reshape(-1, 1)))


def _rbf(graph: _Graph, scaled: str, svc: SVC) -> str:
    """Write ``sum_i alpha_i exp(-gamma |x - s_i|^2)`` with one matrix product for all ``s_i``.

    In float64: the sum is a small difference of large terms, and in float32 scores were off by
    0.002 with C = 300, which is more than a label may hang on.
    """
    vectors, gamma = svc.support_vectors_, float(svc._gamma)  # noqa: SLF001 - "scale" resolved
    cross = graph.node("MatMul", scaled, graph.constant(2.0 * gamma * vectors.T))
    squares = graph.node("ReduceSumSquare", scaled, axes=[1], keepdims=1)
    own = graph.node("Mul", squares, graph.constant(gamma))
    theirs = graph.constant(gamma * np.sum(vectors**2, axis=1))
    exponent = graph.node("Sub", graph.node("Sub", cross, own), theirs)
    return _dual(graph, graph.node("Exp", exponent), svc)


def _poly(graph: _Graph, scaled: str, svc: SVC) -> str:
    gamma = float(svc._gamma)  # noqa: SLF001 - "scale" resolved
    cross = graph.node("MatMul", scaled, graph.constant(gamma * svc.support_vectors_.T))
    base = graph.node("Add", cross, graph.constant(float(svc.coef0)))
    power = graph.node("Pow", base, graph.constant(float(svc.degree)))
    return _dual(graph, power, svc)


_KERNELS: dict[str, Callable[[_Graph, str, SVC], str]] = {
    "linear": _linear,
    "rbf": _rbf,
    "poly": _poly,
}


def _standardise(graph: _Graph, spec: MachineSpec, pipeline: Pipeline) -> str:
    scaler = pipeline["inputs"].named_transformers_["numbers"]
    untouched = len(spec.indicator_names)
    mean = np.concatenate([scaler.mean_, np.zeros(untouched)])
    scale = np.concatenate([scaler.scale_, np.ones(untouched)])
    centred = graph.node("Sub", "inputs", graph.constant(mean))
    return graph.node("Div", centred, graph.constant(scale))


def export_graph(spec: MachineSpec, pipeline: Pipeline, calibration: Calibration) -> bytes:
    """Write a trained pipeline as an ONNX graph.

    Parameters
    ----------
    spec
        The machine spec; the graph takes its inputs in order, shape ``(n, k)``, float64.
    pipeline
        What :func:`presagio.training.pipeline.build_pipeline` built, trained.
    calibration
        The sigmoid from score to probability.

    Returns
    -------
    bytes
        The checked graph; outputs ``score`` and ``probability``, shape ``(n,)``, float64.

    Raises
    ------
    InvalidArtifactError
        If the kernel is not one of linear, rbf and poly.
    """
    svc = pipeline["svc"]
    if svc.kernel not in _KERNELS:
        raise InvalidArtifactError(f"kernel {svc.kernel!r} cannot be exported; use {[*_KERNELS]}")
    graph = _Graph()
    raw = _KERNELS[svc.kernel](graph, _standardise(graph, spec, pipeline), svc)
    shifted = graph.node("Add", raw, graph.constant(svc.intercept_))
    flat = graph.constant(np.array([-1], dtype=np.int64))
    score = graph.node("Reshape", shifted, flat, output="score")
    exponent = graph.node("Mul", score, graph.constant(-calibration.slope))
    exponent = graph.node("Sub", exponent, graph.constant(calibration.intercept))
    graph.node("Sigmoid", exponent, output="probability")
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            spec.name,
            [
                helper.make_tensor_value_info(
                    "inputs", TensorProto.DOUBLE, ["n", len(spec.input_names)]
                )
            ],
            [
                helper.make_tensor_value_info(name, TensorProto.DOUBLE, ["n"])
                for name in ("score", "probability")
            ],
            graph.constants,
        ),
        opset_imports=[helper.make_opsetid("", _OPSET)],
        ir_version=_IR_VERSION,
        producer_name="presagio",
    )
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())
