from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from presagio.errors import InvalidArtifactError
from presagio.inference.imputation import input_columns
from presagio.inference.predictor import load_predictor
from presagio.machine.limits import failing_modes
from presagio.machine.spec import MachineSpec
from presagio.training.datasets.sources import generate_dataset
from presagio.training.datasets.splitting import Part, Split, make_folds, split_dataset
from presagio.training.detectors.alarm import FailureAlarm
from presagio.training.detectors.features import feature_sets
from presagio.training.detectors.plans import DetectorPlan
from presagio.training.export.onnx_graph import Precisions, export_graph
from presagio.training.train import TrainedModel

SETS = ("raw", "derived", "limits", "squashed_4", "beyond")
KERNELS: tuple[dict[str, Any], ...] = (
    {"kernel": "linear", "C": 1.0},
    {"kernel": "rbf", "C": 300.0, "gamma": 0.1},
    {"kernel": "rbf", "C": 1.0, "gamma": "scale"},
    {"kernel": "poly", "C": 10.0, "gamma": 0.2, "degree": 2, "coef0": 1.0},
    {"kernel": "poly", "C": 1.0, "gamma": "auto", "degree": 3, "coef0": 0.0},
)


@pytest.fixture(scope="module")
def split(spec: MachineSpec) -> Split:
    return split_dataset(generate_dataset(spec, 12_500, seed=9), test_share=0.8)


def _fit(spec: MachineSpec, part: Part, plans: tuple[DetectorPlan, ...]) -> FailureAlarm:
    alarm = FailureAlarm(spec, plans)
    return alarm.fit(part.inputs, part.labels, folds=[make_folds(part, None)])


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("parameters", KERNELS, ids=lambda p: "-".join(map(str, p.values())))
def test_the_graph_is_the_model(
    spec: MachineSpec, split: Split, name: str, parameters: dict[str, Any]
) -> None:
    (features,) = (found for found in feature_sets(spec) if found.name == name)
    alarm = _fit(spec, split.train, (DetectorPlan("machine_failure", features, parameters),))
    session = ort.InferenceSession(export_graph(spec, alarm))
    rows = split.test.inputs
    assert len(rows) == 10_000
    score, probability = session.run(("score", "probability"), {"inputs": rows})
    expected = alarm.decision_function(rows)
    np.testing.assert_allclose(score, expected, rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(probability, alarm.predict_proba(rows)[:, 1], atol=1e-6)


def test_a_model_a_mode_says_all_in_one_graph(spec: MachineSpec, split: Split) -> None:
    plans = tuple(
        DetectorPlan(mode, feature_sets(spec, mode)[0], {"C": 100.0, "gamma": 2.0})
        for mode in ("hdf", "pwf", "osf")
    )
    alarm = _fit(spec, split.train, plans)
    rows = split.test.inputs
    session = ort.InferenceSession(export_graph(spec, alarm))
    assert [entry.name for entry in session.get_outputs()] == ["score", "probability", "modes"]
    score, modes = session.run(("score", "modes"), {"inputs": rows})
    np.testing.assert_allclose(score, alarm.decision_function(rows), atol=1e-6)
    np.testing.assert_allclose(modes, alarm.log_odds(rows), atol=1e-6)


def test_single_precision_is_near_and_all_else_is_exact(spec: MachineSpec, split: Split) -> None:
    (derived,) = (found for found in feature_sets(spec) if found.name == "derived")
    rbf = {"kernel": "rbf", "C": 10.0, "gamma": 0.2}
    linear = DetectorPlan("osf", feature_sets(spec, "osf")[0], {"kernel": "linear"})
    alarm = _fit(spec, split.train, (DetectorPlan("machine_failure", derived, rbf), linear))
    assert alarm.support_vectors > 50
    rows = split.test.inputs
    session = ort.InferenceSession(export_graph(spec, alarm, precisions=Precisions("single")))
    score, modes = session.run(("score", "modes"), {"inputs": rows})
    np.testing.assert_allclose(score, alarm.decision_function(rows), atol=3e-4)
    np.testing.assert_allclose(modes[:, 1], alarm.log_odds(rows)[:, 1], atol=1e-9)


@pytest.mark.usefixtures("few_steps")
def test_a_streamed_model_is_exported_too(spec: MachineSpec, split: Split) -> None:
    plans = tuple(
        DetectorPlan(m, feature_sets(spec, m)[0], {"C": 100.0, "gamma": 0.5}, "streamed")
        for m in ("hdf", "pwf")
    )
    alarm = _fit(spec, split.train, plans)
    session = ort.InferenceSession(export_graph(spec, alarm))
    rows = split.test.inputs
    (score,) = session.run(("score",), {"inputs": rows})
    np.testing.assert_allclose(score, alarm.decision_function(rows), atol=1e-6)


def test_readings_on_a_limit_are_on_the_same_side_in_the_graph(
    spec: MachineSpec, split: Split
) -> None:
    beyond = next(found for found in feature_sets(spec, "hdf") if found.name == "beyond")
    alarm = _fit(spec, split.train, (DetectorPlan("hdf", beyond, {"kernel": "linear"}),))
    # All temperatures in tenths of a kelvin: the difference is 8.6 but for the last bit.
    air = np.round(np.arange(295.0, 305.0, 0.1), 1)
    rows = split.test.inputs[: len(air)].copy()
    inputs = input_columns(spec, rows)
    inputs["airtemperature_k"][:] = air
    inputs["process_temperature_k"][:] = np.round(air + 8.6, 1)
    inputs["rotational_speed_rpm"][:] = 1300.0
    expected = failing_modes(spec, inputs)["hdf"]
    assert 0 < expected.sum() < len(air)
    session = ort.InferenceSession(export_graph(spec, alarm))
    (score,) = session.run(("score",), {"inputs": rows})
    np.testing.assert_array_equal(score > 0, expected)
    np.testing.assert_allclose(score, alarm.decision_function(rows), atol=1e-9)


def test_few_nodes_make_a_row_fast(spec: MachineSpec, split: Split) -> None:
    counts = []
    for modes in (("hdf", "pwf"), ("hdf", "pwf", "osf")):
        plans = tuple(
            DetectorPlan(m, feature_sets(spec, m)[0], {"C": 10.0, "gamma": 0.5}) for m in modes
        )
        graph = onnx.load_from_string(export_graph(spec, _fit(spec, split.train, plans)))
        counts.append(len(graph.graph.node))
    # Another detector costs no node.
    assert counts[0] == counts[1] <= 20


def test_a_spec_without_limits_and_quantities_is_exported(spec: MachineSpec, split: Split) -> None:
    bare = spec.model_copy(update={"rules": (), "quantities": ()})
    (features,) = feature_sets(bare)
    alarm = _fit(bare, split.train, (DetectorPlan("machine_failure", features, {"C": 1.0}),))
    session = ort.InferenceSession(export_graph(bare, alarm))
    rows = split.test.inputs
    (score,) = session.run(("score",), {"inputs": rows})
    np.testing.assert_allclose(score, alarm.decision_function(rows), atol=1e-6)


def test_a_kernel_that_cannot_be_written_out_is_refused(spec: MachineSpec, split: Split) -> None:
    features = feature_sets(spec)[0]
    plan = DetectorPlan("machine_failure", features, {"kernel": "sigmoid"})
    with pytest.raises(InvalidArtifactError, match="'sigmoid' cannot be exported"):
        export_graph(spec, _fit(spec, split.train, (plan,)))


def test_the_graph_needs_no_python_to_run(artifact: Path) -> None:
    session = ort.InferenceSession((artifact / "model.onnx").read_bytes())
    assert [entry.type for entry in session.get_inputs()] == ["tensor(double)"]


def test_a_loaded_artifact_says_why(artifact: Path, trained: TrainedModel) -> None:
    rows, alarm = trained.split.test.inputs, trained.result.alarm
    found = load_predictor(artifact).mode_odds(rows)
    assert list(found) == [plan.label for plan in alarm.plans]
    for log_odds, expected in zip(found.values(), alarm.log_odds(rows).T, strict=True):
        np.testing.assert_allclose(log_odds, expected, atol=1e-6)
