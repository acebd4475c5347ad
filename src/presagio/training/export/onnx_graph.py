"""From a trained model to one ONNX graph: raw inputs in, score and probability out."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from presagio.machine.failure_rules import Bound, Quantity
from presagio.machine.limits import distances_of
from presagio.machine.spec import MachineSpec
from presagio.training.detectors.alarm import FailureAlarm
from presagio.training.detectors.detector import Precision
from presagio.training.detectors.expansion import KernelExpansion
from presagio.training.detectors.graph import Columns, Graph, Sum
from presagio.training.search.remaining import RemainingModel

Floats = NDArray[np.float64]
_OPSET = 17
_IR_VERSION = 8


class Precisions(NamedTuple):
    """Of the kernels' values in the alarm's detectors, and in the regression of the time left."""

    alarm: Precision = "double"
    remaining: Precision = "double"


_DOUBLE = Precisions()


def _products(graph: Graph, columns: Columns, quantities: Sequence[Quantity]) -> str:
    """Write products; differences and sums are products with 1."""
    left, right = [], []
    for quantity in quantities:
        signs = (1.0, -1.0) if quantity.kind == "difference" else (1.0,) * len(quantity.of)
        product = quantity.kind == "product"
        terms = {quantity.of[0]: 1.0} if product else _added(quantity.of, signs)
        left.append(Sum(terms).scaled(quantity.factor, 0.0))
        right.append(Sum({quantity.of[1]: 1.0}) if product else Sum({}, 1.0))
    return graph.node("Mul", columns.sums(graph, left), columns.sums(graph, right))


def _added(names: Sequence[str], weights: Sequence[float]) -> dict[str, float]:
    """Return the weight of each name; one may stand there twice."""
    total: dict[str, float] = {}
    for name, weight in zip(names, weights, strict=True):
        total[name] = total.get(name, 0.0) + weight
    return total


def _ratios(graph: Graph, columns: Columns, quantities: Sequence[Quantity]) -> str:
    """Write ratios, 0 where they are to 0."""
    top = columns.sums(graph, [Sum({q.of[0]: 1.0}).scaled(q.factor, 0.0) for q in quantities])
    bottom = columns.sums(graph, [Sum({q.of[1]: 1.0}) for q in quantities])
    none = graph.node("Equal", bottom, graph.constant(0.0))
    none = graph.node("Cast", none, to=TensorProto.DOUBLE)
    ratio = graph.node("Div", top, graph.node("Add", bottom, none))
    return graph.node("Mul", ratio, graph.node("Sub", graph.constant(1.0), none))


def _logarithms(graph: Graph, columns: Columns, quantities: Sequence[Quantity]) -> str:
    """Write ``sign(x) * log(1 + |x|)``."""
    values = columns.sums(graph, [Sum({q.of[0]: 1.0}) for q in quantities])
    size = graph.node("Add", graph.node("Abs", values), graph.constant(1.0))
    logs = graph.node("Mul", graph.node("Sign", values), graph.node("Log", size))
    return graph.node("Mul", logs, graph.constant(np.array([[q.factor for q in quantities]])))


_WRITERS = {"ratio": _ratios, "log": _logarithms}


def _with_quantities(graph: Graph, spec: MachineSpec) -> Columns:
    """Write the derived quantities beside the inputs."""
    columns, waiting = Columns("inputs", spec.model_inputs), list(spec.derived)
    while waiting:
        # Of quantities that are derived from others the first has to be there already.
        ready = [q for q in waiting if {*q.of} <= {*columns.names}]
        for write in (_products, *_WRITERS.values()):
            those = [q for q in ready if _WRITERS.get(q.kind, _products) is write]
            if those:
                derived = write(graph, columns, those)
                names = (*columns.names, *(quantity.name for quantity in those))
                columns = Columns(graph.beside(columns.matrix, derived), names)
        waiting = [quantity for quantity in waiting if quantity not in ready]
    return columns


def _limit(spec: MachineSpec, bound: Bound) -> Sum:
    """Return a bound's limit: a constant, and what each indicator adds to it."""
    if not isinstance(bound.limit, dict):
        return Sum({}, float(bound.limit))
    category = spec.category(bound.by or "")
    rest = float(bound.limit[category.remainder]) if category.remainder else 0.0
    indicators = category.indicators.items()
    return Sum({name: bound.limit[value] - rest for value, name in indicators}, rest)


def _distances(spec: MachineSpec) -> dict[str, Sum]:
    """Return the distances to all limits: they are linear in inputs and quantities."""
    found = {}
    for distance in distances_of(spec):
        limit = _limit(spec, distance.bound)
        sign = 1.0 if distance.bound.above is None else -1.0
        terms = {name: -sign * weight for name, weight in limit.terms.items()}
        found[distance.name] = Sum({distance.bound.of: sign} | terms, -sign * limit.start)
    return found


def _write_odds(
    graph: Graph, sources: Sequence[Columns], alarm: FailureAlarm, precision: Precision
) -> str:
    """Write the log odds of each detector: what all compute, and one product for all."""
    parts = [
        detector.graph_part(plan.features.columns)
        for detector, plan in zip(alarm.detectors_, alarm.plans, strict=True)
    ]
    terms: list[str] = []
    weights: list[Floats] = []
    intercepts = np.zeros(len(parts))
    for kind in dict.fromkeys(type(part) for part in parts):
        places = [i for i, part in enumerate(parts) if type(part) is kind]
        decisions = kind.write(graph, sources, [parts[i] for i in places], precision)
        intercepts[places] = decisions.intercepts
        for matrix, values in decisions.terms:
            terms.append(matrix)
            weights.append(np.zeros((len(values), len(parts))))
            weights[-1][:, places] = values
    return graph.affine(
        graph.beside(*terms), np.vstack(weights) * alarm.slopes_,
        intercepts * alarm.slopes_ + alarm.offsets_, output="modes",
    )  # fmt: skip


def _write(
    graph: Graph, spec: MachineSpec, alarm: FailureAlarm, precisions: Precisions,
    remaining: RemainingModel | None,
) -> None:  # fmt: skip
    columns, distances = _with_quantities(graph, spec), _distances(spec)
    sources = [columns]
    if any(name in distances for plan in alarm.plans for name in plan.features.columns):
        matrix = columns.sums(graph, list(distances.values()))
        sources.append(Columns(matrix, tuple(distances)))
    odds = _write_odds(graph, sources, alarm, precisions.alarm)
    if len(alarm.plans) > 1:
        score = graph.node("ReduceLogSumExp", odds, axes=[1], keepdims=0, output="score")
    else:
        flat = graph.constant(np.array([-1], dtype=np.int64))
        score = graph.node("Reshape", odds, flat, output="score")
    slope, offset = alarm.calibration_
    log_odds = graph.node("Mul", score, graph.constant(slope))
    log_odds = graph.node("Add", log_odds, graph.constant(offset))
    graph.node("Sigmoid", log_odds, output="probability")
    if remaining is not None:
        _write_remaining(graph, columns, remaining, precisions.remaining)


def _write_remaining(
    graph: Graph, columns: Columns, remaining: RemainingModel, precision: Precision
) -> None:
    """Write the time left, from 0 to the most that is told apart."""
    part = remaining.regression.graph_part(remaining.features.columns)
    decisions = KernelExpansion.write(graph, [columns], [part], precision)
    matrices, weights = zip(*decisions.terms, strict=True)
    found = graph.affine(graph.beside(*matrices), np.vstack(weights), decisions.intercepts)
    flat = graph.node("Reshape", found, graph.constant(np.array([-1], dtype=np.int64)))
    most = graph.constant(remaining.regression.most)
    graph.node("Min", graph.node("Max", flat, graph.constant(0.0)), most, output="remaining")


def export_graph(
    spec: MachineSpec, alarm: FailureAlarm, *, precisions: Precisions = _DOUBLE,
    remaining: RemainingModel | None = None,
) -> bytes:  # fmt: skip
    """Write a trained model as an ONNX graph.

    Parameters
    ----------
    spec
        The machine spec; the graph takes complete inputs in order, shape ``(n, m)``, float64.
    alarm
        The trained model.
    precisions
        Of the kernels' values. A sum of many is 3 times as fast in single precision, and off by
        as much as its weights are large: whoever asks for it compares.
    remaining
        The trained regression of the time left, where there is one.

    Returns
    -------
    bytes
        The checked graph. Outputs, all float64: ``score`` and ``probability``, shape ``(n,)``;
        ``modes``, the log odds by detector, shape ``(n, detectors)``; ``remaining``, the time left,
        shape ``(n,)``, where there is one.

    Raises
    ------
    InvalidArtifactError
        If a detector cannot be written.
    """
    graph = Graph()
    _write(graph, spec, alarm, precisions, remaining)
    width = len(spec.model_inputs)
    outputs: dict[str, list[str | int]] = {"score": ["n"], "probability": ["n"]}
    outputs["modes"] = ["n", len(alarm.plans)]
    if remaining is not None:
        outputs["remaining"] = ["n"]
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
