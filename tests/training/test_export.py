from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

from presagio.errors import InvalidArtifactError
from presagio.machine.spec import MachineSpec
from presagio.training.dataset import generate_dataset, split_dataset
from presagio.training.export import export_graph
from presagio.training.pipeline import build_pipeline
from presagio.training.search import Calibration

CALIBRATION = Calibration(-1.5, 0.5)


@pytest.mark.parametrize(
    "parameters",
    [
        {"kernel": "linear", "C": 10.0},
        {"kernel": "rbf", "C": 300.0, "gamma": 0.1},
        {"kernel": "rbf", "C": 1.0, "gamma": "scale"},
        {"kernel": "poly", "C": 10.0, "gamma": 0.2, "degree": 2, "coef0": 1.0},
        {"kernel": "poly", "C": 1.0, "gamma": "auto", "degree": 3, "coef0": 0.0},
    ],
    ids=lambda parameters: "-".join(map(str, parameters.values())),
)
def test_the_graph_is_the_pipeline(spec: MachineSpec, parameters: dict[str, Any]) -> None:
    split = split_dataset(generate_dataset(spec, 12_500, seed=9), test_share=0.8)
    pipeline = build_pipeline(spec).set_params(**{f"svc__{k}": v for k, v in parameters.items()})
    pipeline.fit(split.train, split.train_target)
    session = ort.InferenceSession(export_graph(spec, pipeline, CALIBRATION))
    inputs = split.test.to_numpy(dtype=np.float64)
    assert len(inputs) == 10_000
    score, probability = session.run(("score", "probability"), {"inputs": inputs})
    expected = pipeline.decision_function(split.test)
    np.testing.assert_allclose(score, expected, rtol=0, atol=1e-6)
    np.testing.assert_allclose(probability, 1 / (1 + np.exp(-1.5 * expected + 0.5)), atol=1e-6)


def test_a_kernel_that_cannot_be_written_out_is_refused(spec: MachineSpec) -> None:
    dataset = generate_dataset(spec, 1000)
    pipeline = build_pipeline(spec).set_params(svc__kernel="sigmoid")
    pipeline.fit(dataset.inputs, dataset.target)
    with pytest.raises(InvalidArtifactError, match="'sigmoid' cannot be exported"):
        export_graph(spec, pipeline, CALIBRATION)


def test_the_graph_needs_no_python_to_run(artifact: Path) -> None:
    session = ort.InferenceSession((artifact / "model.onnx").read_bytes())
    assert [entry.type for entry in session.get_inputs()] == ["tensor(double)"]
