"""A scikit-learn model as an ONNX graph of the kind that serving runs."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from presagio.machine.spec import MachineSpec

Floats = NDArray[np.float64]

_OPSET = 17
_IR_VERSION = 8
_LEAST = 1e-12


class ThirdPartyEstimator:
    """A scikit-learn model as score and probability of a row being a failure."""

    def __init__(self, model: Any, columns: Sequence[str], spec: MachineSpec) -> None:
        self.model, self.columns = model, list(columns)
        self.order = [spec.input_names.index(name) for name in columns]
        self._named = hasattr(model, "feature_names_in_")
        self.has_probability = hasattr(model, "predict_proba")
        self.predicts = self.has_probability or hasattr(model, "decision_function")

    def _given(self, rows: Floats) -> Any:
        ordered = rows[:, self.order]
        if not self._named:
            return ordered
        import pandas as pd  # noqa: PLC0415 - of the extra `third-party`

        return pd.DataFrame(ordered, columns=self.columns)

    def predict(self, rows: Floats) -> tuple[Floats, Floats]:
        """Return score (log odds where the model gives probabilities) and probability.

        Of rows of shape ``(n, k)`` in the order of the spec's inputs, shape ``(n,)`` each.
        """
        if self.has_probability:
            probability = np.asarray(self.model.predict_proba(self._given(rows)))[:, 1]
            inside = np.clip(probability, 1e-12, 1 - 1e-12)
            return np.log(inside / (1 - inside)), probability.astype(np.float64)
        score = np.asarray(self.model.decision_function(self._given(rows)), dtype=np.float64)
        return score, 0.5 * (1 + np.tanh(score / 2))

    def labels(self, rows: Floats) -> NDArray[np.bool_]:
        """Return the model's own labels of rows of shape ``(n, k)``, shape ``(n,)``."""
        return np.asarray(self.model.predict(self._given(rows))).astype(bool)


@dataclass(frozen=True)
class _Margin:
    """A model whose score is ``slope`` times a decision function and ``offset``."""

    model: Any
    slope: float = 1.0
    offset: float = 0.0


def _margin(model: Any) -> _Margin | None:
    """Return the decision function that a model is made of; None for one of probabilities.

    One calibrated by a sigmoid without an ensemble is such: its log odds are linear in it.
    """
    if not hasattr(model, "predict_proba"):
        return _Margin(model)
    calibrated: Any = getattr(model, "calibrated_classifiers_", ())
    if len(calibrated) == 1 and hasattr(calibrated[0].calibrators[0], "a_"):
        sigmoid = calibrated[0].calibrators[0]
        return _Margin(calibrated[0].estimator, -float(sigmoid.a_), -float(sigmoid.b_))
    return None


def _to_onnx(model: Any, columns: Sequence[str], options: dict[str, bool]) -> Any:
    from skl2onnx import to_onnx  # noqa: PLC0415 - of the extra `third-party`
    from skl2onnx.common.data_types import DoubleTensorType  # noqa: PLC0415

    last = model.steps[-1][1] if hasattr(model, "steps") else model
    whole = [("own_order", DoubleTensorType([None, len(columns)]))]
    per_column = [(name, DoubleTensorType([None, 1])) for name in columns]
    how = {"options": {id(last): options}, "target_opset": _OPSET}
    with warnings.catch_warnings():
        # Of versions and of shapes; what comes out is compared.
        warnings.simplefilter("ignore")
        try:
            return to_onnx(model, initial_types=whole, **how)
        except (RuntimeError, ValueError, TypeError, KeyError, AttributeError):
            # Models that pick columns by their names want each by itself.
            return to_onnx(model, initial_types=per_column, **how)


def _before(inputs: Sequence[str]) -> list[Any]:
    from onnx import helper  # noqa: PLC0415 - of the extra `third-party`

    ordered = helper.make_node("Gather", ["inputs", "own_places"], ["own_all"], axis=1)
    if len(inputs) == 1:
        return [ordered, helper.make_node("Identity", ["own_all"], list(inputs))]
    return [ordered, helper.make_node("Split", ["own_all"], list(inputs), axis=1)]


def _after(output: str, margin: _Margin | None) -> list[Any]:
    from onnx import TensorProto, helper  # noqa: PLC0415 - of the extra `third-party`

    double = [
        helper.make_node("Cast", [output], ["own_double"], to=TensorProto.DOUBLE),
        helper.make_node("Gather", ["own_double", "own_one"], ["own_failure"], axis=1),
    ]
    if margin is not None:
        return [
            *double,
            helper.make_node("Mul", ["own_failure", "own_slope"], ["own_sloped"]),
            helper.make_node("Add", ["own_sloped", "own_offset"], ["score"]),
            helper.make_node("Sigmoid", ["score"], ["probability"]),
        ]
    return [
        *double,
        helper.make_node("Identity", ["own_failure"], ["probability"]),
        helper.make_node("Clip", ["own_failure", "own_low", "own_high"], ["own_inside"]),
        helper.make_node("Sub", ["own_unit", "own_inside"], ["own_rest"]),
        helper.make_node("Div", ["own_inside", "own_rest"], ["own_ratio"]),
        helper.make_node("Log", ["own_ratio"], ["score"]),
    ]


def convert(estimator: ThirdPartyEstimator, spec: MachineSpec) -> bytes:
    """Convert a model.

    Returns
    -------
    bytes
        A checked graph that takes the spec's inputs in order and gives ``score`` and
        ``probability``. Converters err, so whoever asks for it compares.

    Raises
    ------
    Exception
        Whatever the converter raises for a model that it does not know.
    """
    import onnx  # noqa: PLC0415 - of the extra `third-party`
    from onnx import TensorProto, helper, numpy_helper  # noqa: PLC0415

    margin = _margin(estimator.model)
    options = {"zipmap": False} | ({} if margin is None else {"raw_scores": True})
    model = estimator.model if margin is None else margin.model
    converted = _to_onnx(model, estimator.columns, options)
    graph = converted.graph
    constants: dict[str, NDArray[Any]] = {
        "own_places": np.array(estimator.order, dtype=np.int64),
        "own_one": np.array(1, dtype=np.int64),
    }
    if margin is not None:
        numbers = {"own_slope": margin.slope, "own_offset": margin.offset}
    else:
        numbers = {"own_low": _LEAST, "own_high": 1 - _LEAST, "own_unit": 1.0}
    constants |= {name: np.array(value) for name, value in numbers.items()}
    width = len(spec.input_names)
    made = helper.make_model(
        helper.make_graph(
            [
                *_before([entry.name for entry in graph.input]),
                *graph.node,
                *_after(graph.output[1].name, margin),
            ],
            "third_party",
            [helper.make_tensor_value_info("inputs", TensorProto.DOUBLE, ["n", width])],
            [
                helper.make_tensor_value_info(name, TensorProto.DOUBLE, ["n"])
                for name in ("score", "probability")
            ],
            [*graph.initializer, *(numpy_helper.from_array(v, k) for k, v in constants.items())],
        ),
        opset_imports=converted.opset_import, ir_version=_IR_VERSION, producer_name="presagio",
    )  # fmt: skip
    onnx.checker.check_model(made)
    return bytes(made.SerializeToString())
