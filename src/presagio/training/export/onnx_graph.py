"""From a trained model to one ONNX graph: raw inputs in, score and probability out.

The kernel is written out in plain nodes: on an RBF machine with 600 support vectors that ran
7 times faster in bulk than ONNX Runtime's own SVM operator (design, baselines). All detectors
share each node, since a single row takes the longer the more nodes there are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from presagio.errors import InvalidArtifactError
from presagio.machine.failure_rules import Bound
from presagio.machine.limits import distances_of
from presagio.machine.spec import MachineSpec
from presagio.training.detectors.alarm import FailureAlarm
from presagio.training.detectors.expansion import KernelExpansion, expand
from presagio.training.detectors.graph import Columns, Graph, Sum

Floats = NDArray[np.float64]
Precision = Literal["double", "single"]
_OPSET = 17
_IR_VERSION = 8
_KERNELS = ("linear", "rbf", "poly")


def _with_quantities(graph: Graph, spec: MachineSpec) -> Columns:
    """Write the derived quantities beside the inputs: differences are products with 1."""
    columns, waiting = Columns("inputs", spec.input_names), list(spec.quantities)
    while waiting:
        # Of quantities that are derived from others the first has to be there already.
        ready = [q for q in waiting if {*q.of} <= {*columns.names}]
        left, right = [], []
        for quantity in ready:
            first, second = quantity.of
            product = quantity.kind == "product"
            terms = {first: 1.0} if product else {first: 1.0, second: -1.0}
            left.append(Sum(terms).scaled(quantity.factor, 0.0))
            right.append(Sum({second: 1.0}) if product else Sum({}, 1.0))
        derived = graph.node("Mul", columns.sums(graph, left), columns.sums(graph, right))
        names = (*columns.names, *(quantity.name for quantity in ready))
        columns = Columns(graph.beside(columns.matrix, derived), names)
        waiting = [quantity for quantity in waiting if quantity not in ready]
    return columns


def _limit(spec: MachineSpec, bound: Bound) -> Sum:
    """Return a bound's limit: a constant, and what each indicator adds to it."""
    if not isinstance(bound.limit, dict):
        return Sum({}, float(bound.limit))
    category = spec.category(bound.by or "")
    rest = float(bound.limit[category.remainder]) if category.remainder else 0.0
    own = category.indicators.items()
    return Sum({indicator: bound.limit[value] - rest for value, indicator in own}, rest)


def _distances(spec: MachineSpec) -> dict[str, Sum]:
    """Return the distances to all limits: they are linear in inputs and quantities."""
    found = {}
    for distance in distances_of(spec):
        limit = _limit(spec, distance.bound)
        sign = 1.0 if distance.bound.above is None else -1.0
        terms = {name: -sign * weight for name, weight in limit.terms.items()}
        found[distance.name] = Sum({distance.bound.of: sign} | terms, -sign * limit.start)
    return found


@dataclass(frozen=True, eq=False)
class _Detector:
    """A detector's expansion, and where its features stand among those of all."""

    expansion: KernelExpansion
    columns: slice


@dataclass(frozen=True)
class _Scaled:
    """A feature before it is squashed: a column, what is taken from it, and times what."""

    column: str
    minus: float
    factor: float


def _scaled(expansion: KernelExpansion) -> list[_Scaled]:
    steps = expansion.features.named_steps
    scaler, squash = steps["scale"], steps.get("squash")
    means = scaler.mean_ if scaler.with_mean else np.zeros(len(scaler.scale_))
    steep = (1.0 if squash is None else squash.sharpness) / scaler.scale_
    columns = steps["compute"].columns
    return [_Scaled(*own) for own in zip(columns, means, steep, strict=True)]


def _write_scaled(graph: Graph, sources: Sequence[Columns], wanted: Sequence[_Scaled]) -> str:
    """Write features side by side, from the one matrix that has their columns, or from all.

    Distances are taken as they were computed: multiplied out to quantities, the sign of one that
    is a rounding error from 0 would be lost.
    """
    names = {own.column for own in wanted}
    source = next((found for found in sources if names <= {*found.names}), None)
    if source is None:
        everything = tuple(name for found in sources for name in found.names)
        source = Columns(graph.beside(*(found.matrix for found in sources)), everything)
    sums = [Sum({own.column: 1.0}).scaled(own.factor, own.minus) for own in wanted]
    return source.sums(graph, sums)


def _features(
    graph: Graph, sources: Sequence[Columns], expansions: list[KernelExpansion]
) -> tuple[str, list[_Detector], int]:
    """Write the scaled features of all detectors side by side, the squashed ones first."""
    order = sorted(expansions, key=lambda e: "squash" not in e.features.named_steps)
    places: dict[int, slice] = {}
    squashed: list[_Scaled] = []
    plain: list[_Scaled] = []
    for expansion in order:
        own, start = _scaled(expansion), len(squashed) + len(plain)
        (squashed if "squash" in expansion.features.named_steps else plain).extend(own)
        places[id(expansion)] = slice(start, start + len(own))
    parts = [graph.node("Tanh", _write_scaled(graph, sources, squashed))] if squashed else []
    parts += [_write_scaled(graph, sources, plain)] if plain else []
    detectors = [_Detector(expansion, places[id(expansion)]) for expansion in expansions]
    return graph.beside(*parts), detectors, len(squashed) + len(plain)


def _products(detectors: Sequence[_Detector], width: int) -> Floats:
    """Return ``gamma * vectors`` of each detector's own features, shape ``(width, m)``."""
    found = np.zeros((width, sum(len(d.expansion.vectors) for d in detectors)))
    done = 0
    for detector in detectors:
        own = detector.expansion.gamma * detector.expansion.vectors.T
        found[detector.columns, done : done + own.shape[1]] = own
        done += own.shape[1]
    return found


def _rbf(graph: Graph, features: str, detectors: Sequence[_Detector], width: int) -> str:
    """Write ``exp(-gamma |x - s|^2)`` with one matrix product for all vectors of all detectors."""
    own = np.zeros((width, len(detectors)))
    for i, detector in enumerate(detectors):
        own[detector.columns, i] = -detector.expansion.gamma
    squares = graph.node("MatMul", graph.node("Mul", features, features), graph.constant(own))
    counts = [len(d.expansion.vectors) for d in detectors]
    weights = np.vstack([
        2.0 * _products(detectors, width),
        np.repeat(np.eye(len(detectors)), counts, axis=1),
    ])  # fmt: skip
    lengths = [d.expansion.gamma * np.sum(d.expansion.vectors**2, axis=1) for d in detectors]
    exponents = graph.affine(graph.beside(features, squares), weights, -np.concatenate(lengths))
    return graph.node("Exp", exponents)


def _poly(graph: Graph, features: str, detectors: Sequence[_Detector], width: int) -> str:
    """Write ``(gamma x s + coef0) ** degree``."""
    counts = [len(d.expansion.vectors) for d in detectors]
    starts, degrees = (
        np.repeat(np.array(values, dtype=np.float64), counts)
        for values in (
            [d.expansion.coef0 for d in detectors],
            [d.expansion.degree for d in detectors],
        )
    )
    base = graph.affine(features, _products(detectors, width), starts)
    return graph.node("Pow", base, graph.constant(degrees))


def _kernel_sums(
    graph: Graph, features: str, detectors: Sequence[_Detector], width: int, precision: Precision
) -> tuple[list[str], list[Floats]]:
    """Write the kernels' values; return them with the weights that make decisions of them."""
    own = {k: [d for d in detectors if d.expansion.kernel == k] for k in ("rbf", "poly")}
    machines = [*own["rbf"], *own["poly"]]
    if not machines:
        return [], []
    if precision == "single":
        features, graph.type = graph.node("Cast", features, to=TensorProto.FLOAT), np.float32
    writers = (("rbf", _rbf), ("poly", _poly))
    values = graph.beside(*(w(graph, features, own[k], width) for k, w in writers if own[k]))
    places = np.repeat(
        [detectors.index(d) for d in machines], [len(d.expansion.weights) for d in machines]
    )
    alphas = np.concatenate([d.expansion.weights for d in machines])
    weights = alphas[:, np.newaxis] * np.eye(len(detectors))[places]
    if precision == "double":
        return [values], [weights]
    sums = graph.node("MatMul", values, graph.constant(weights))
    graph.type = np.float64
    return [graph.node("Cast", sums, to=TensorProto.DOUBLE)], [np.eye(len(detectors))]


def _decisions(
    graph: Graph, features: str, detectors: Sequence[_Detector], width: int, alarm: FailureAlarm,
    precision: Precision,
) -> str:  # fmt: skip
    """Write the log odds of each detector: all kernel values, and one product for all."""
    parts, weights = _kernel_sums(graph, features, detectors, width, precision)
    linear = np.zeros((width, len(detectors)))
    for i, detector in enumerate(detectors):
        if detector.expansion.kernel == "linear":
            linear[detector.columns, i] = detector.expansion.weights
    if linear.any() or not parts:
        parts, weights = [*parts, features], [*weights, linear]
    intercepts = np.array([detector.expansion.intercept for detector in detectors])
    return graph.affine(
        graph.beside(*parts), np.vstack(weights) * alarm.slopes_,
        intercepts * alarm.slopes_ + alarm.offsets_, output="modes",
    )  # fmt: skip


def _write(graph: Graph, spec: MachineSpec, alarm: FailureAlarm, precision: Precision) -> None:
    expansions = [expand(detector) for detector in alarm.detectors_]
    columns, distances = _with_quantities(graph, spec), _distances(spec)
    seen = {feature.column for expansion in expansions for feature in _scaled(expansion)}
    sources = [columns]
    if seen & distances.keys():
        matrix = columns.sums(graph, list(distances.values()))
        sources.append(Columns(matrix, tuple(distances)))
    if precision == "single":
        expansions = [expansion.balanced() for expansion in expansions]
    features, detectors, width = _features(graph, sources, expansions)
    odds = _decisions(graph, features, detectors, width, alarm, precision)
    if len(detectors) > 1:
        score = graph.node("ReduceLogSumExp", odds, axes=[1], keepdims=0, output="score")
    else:
        flat = graph.constant(np.array([-1], dtype=np.int64))
        score = graph.node("Reshape", odds, flat, output="score")
    slope, offset = alarm.calibration_
    log_odds = graph.node("Mul", score, graph.constant(slope))
    log_odds = graph.node("Add", log_odds, graph.constant(offset))
    graph.node("Sigmoid", log_odds, output="probability")


def _refuse_unknown_kernels(alarm: FailureAlarm) -> None:
    for plan in alarm.plans:
        kernel = plan.parameters.get("kernel", "rbf")
        if kernel not in _KERNELS:
            raise InvalidArtifactError(f"kernel {kernel!r} cannot be exported; use {[*_KERNELS]}")


def export_graph(
    spec: MachineSpec, alarm: FailureAlarm, *, precision: Precision = "double"
) -> bytes:
    """Write a trained model as an ONNX graph.

    Parameters
    ----------
    spec
        The machine spec; the graph takes its inputs in order, shape ``(n, k)``, float64.
    alarm
        The trained model.
    precision
        Of the kernel's values. A sum of many is 3 times as fast in single precision, and off by
        as much as its weights are large: whoever asks for it compares.

    Returns
    -------
    bytes
        The checked graph. Outputs, all float64: ``score`` and ``probability``, shape ``(n,)``;
        ``modes``, the log odds by detector, shape ``(n, detectors)``.

    Raises
    ------
    InvalidArtifactError
        If a kernel is not one of linear, rbf and poly.
    """
    _refuse_unknown_kernels(alarm)
    graph = Graph()
    _write(graph, spec, alarm, precision)
    width = len(spec.input_names)
    outputs: dict[str, list[str | int]] = {"score": ["n"], "probability": ["n"]}
    outputs["modes"] = ["n", len(alarm.plans)]
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            spec.name,
            [helper.make_tensor_value_info("inputs", TensorProto.DOUBLE, ["n", width])],
            [
                helper.make_tensor_value_info(name, TensorProto.DOUBLE, shape)
                for name, shape in outputs.items()
            ],
            graph.constants,
        ),
        opset_imports=[helper.make_opsetid("", _OPSET)],
        ir_version=_IR_VERSION,
        producer_name="presagio",
    )
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())
