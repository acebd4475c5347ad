import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from presagio.errors import InvalidArtifactError
from presagio.inference.artifact import sha256_of
from presagio.inference.predictor import Predictor, fallback_folder, load_predictor
from presagio.machine.spec import MachineSpec
from presagio.training.datasets.sources import generate_dataset
from presagio.training.train import TrainedModel


@pytest.fixture(scope="module")
def predictor(artifact: Path) -> Predictor:
    return load_predictor(artifact)


def _rewrite(folder: Path, changes: dict[str, object]) -> None:
    manifest = json.loads((folder / "manifest.json").read_bytes()) | changes
    manifest["files"]["model.onnx"] = sha256_of(folder / "model.onnx")
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


@pytest.mark.parametrize("rows", [1, 2, 1023, 1024, 1025, 3000])
def test_rows_are_judged_alike_however_many_come_at_once(
    predictor: Predictor, trained: TrainedModel, rows: int
) -> None:
    inputs = np.resize(trained.split.test.inputs, (rows, 7))
    together = predictor.predict(inputs)
    assert together.score.shape == together.probability.shape == together.label.shape == (rows,)
    alone = predictor.predict(inputs[-1:])
    assert together.score[-1] == pytest.approx(alone.score[0], abs=1e-9)
    assert together.label[-1] == alone.label[0]


def test_no_rows_no_answers(predictor: Predictor) -> None:
    assert predictor.predict(np.empty((0, 7))).label.shape == (0,)


def test_labels_follow_the_threshold_and_probabilities_the_score(
    predictor: Predictor, trained: TrainedModel
) -> None:
    said = predictor.predict(trained.split.test.inputs)
    assert (said.label == (said.score >= trained.result.alarm.threshold_)).all()
    assert ((said.probability > 0) & (said.probability < 1)).all()
    order = np.argsort(said.score)
    assert (np.diff(said.probability[order]) >= 0).all()


def test_readings_are_arranged_by_name(predictor: Predictor, spec: MachineSpec) -> None:
    mixed = dict(reversed(spec.example.items()))
    assert predictor.arrange([mixed]).tolist() == [[float(v) for v in spec.example.values()]]


def test_the_bundled_artifact_can_be_served(spec: MachineSpec) -> None:
    bundled = load_predictor(fallback_folder())
    assert bundled.artifact.spec.model_dump() == spec.model_dump()
    assert bundled.predict(bundled.arrange([spec.example])).label.tolist() == [True]


def test_an_artifact_that_fails_its_examples_is_refused(artifact: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(artifact, tmp_path / "copy"))
    examples = json.loads((folder / "manifest.json").read_bytes())["examples"]
    examples[0]["score"] += 0.01
    _rewrite(folder, {"examples": examples})
    with pytest.raises(InvalidArtifactError, match="recorded example 0"):
        load_predictor(folder)


def test_an_artifact_without_examples_is_refused(artifact: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(artifact, tmp_path / "copy"))
    _rewrite(folder, {"examples": []})
    with pytest.raises(InvalidArtifactError, match="records no examples"):
        load_predictor(folder)


def test_a_graph_that_is_none_is_refused(artifact: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(artifact, tmp_path / "copy"))
    (folder / "model.onnx").write_bytes(b"no graph")
    _rewrite(folder, {})
    with pytest.raises(InvalidArtifactError, match=r"model\.onnx cannot be loaded"):
        load_predictor(folder)


def test_a_graph_with_other_inputs_is_refused(artifact: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(artifact, tmp_path / "copy"))
    shape = helper.make_tensor_value_info("inputs", TensorProto.DOUBLE, ["n", 3])
    same = helper.make_tensor_value_info("score", TensorProto.DOUBLE, ["n", 3])
    graph = helper.make_graph(
        [helper.make_node("Identity", ["inputs"], ["score"])], "x", [shape], [same]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, folder / "model.onnx")
    _rewrite(folder, {})
    with pytest.raises(InvalidArtifactError, match="not the spec's inputs"):
        load_predictor(folder)


def test_one_row_is_predicted_as_many_are_from_several_threads(
    artifact: Path, spec: MachineSpec
) -> None:
    predictor = load_predictor(artifact)
    rows = generate_dataset(spec, 200, seed=3).inputs
    expected = predictor.predict(rows)

    def predict(i: int) -> tuple[float, float, bool]:
        return predictor.predict_one(rows[i].tolist())

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(predict, range(len(rows))))
    assert [label for _, _, label in found] == expected.label.tolist()
    # Rows beside others are summed in another order by the graph's matrix products.
    np.testing.assert_allclose([score for score, _, _ in found], expected.score, rtol=1e-9)
    one = [predictor.predict(rows[i : i + 1]).score.item() for i in range(len(rows))]
    assert [score for score, _, _ in found] == one
