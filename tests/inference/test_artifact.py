import json
import shutil
from pathlib import Path

import pytest

from presagio.errors import InvalidArtifactError
from presagio.inference.artifact import read_artifact, sha256_of
from presagio.inference.predictor import load_predictor
from presagio.machine.limits import distances_of
from presagio.machine.spec import MachineSpec
from tests.inference.broken import make_artifact, manifest


@pytest.fixture
def copy(artifact: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(artifact, tmp_path / "copy"))


def test_a_whole_artifact_is_read(copy: Path, spec: MachineSpec) -> None:
    read = read_artifact(copy, digest=sha256_of(copy / "manifest.json"))
    assert read.spec.model_dump() == spec.model_dump()
    assert read.manifest.inputs == spec.input_names
    assert read.card["data"]["rows"] == 3000


def test_nothing_in_it_is_a_pickle(copy: Path) -> None:
    assert sorted(path.name for path in copy.iterdir()) == [
        "card.json", "manifest.json", "model.onnx", "spec.json",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["model.onnx", "spec.json", "card.json"])
def test_an_altered_file_is_refused(copy: Path, name: str) -> None:
    with (copy / name).open("ab") as file:
        file.write(b" ")
    with pytest.raises(InvalidArtifactError, match=f"{name} is not the file that was exported"):
        read_artifact(copy)


@pytest.mark.parametrize("name", ["manifest.json", "model.onnx", "spec.json", "card.json"])
def test_a_missing_file_is_named(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(InvalidArtifactError, match=f"cannot read .*{name}"):
        read_artifact(copy)


def test_another_digest_is_refused(copy: Path) -> None:
    with pytest.raises(InvalidArtifactError, match="has digest"):
        read_artifact(copy, digest="0" * 64)


@pytest.mark.parametrize(
    "change", [{"format": 2}, {"pickle": "model.pkl"}, {"threshold": "high"}, {"inputs": ["a"]}]
)
def test_a_manifest_that_says_something_else_is_refused(
    copy: Path, change: dict[str, object]
) -> None:
    manifest = json.loads((copy / "manifest.json").read_bytes())
    (copy / "manifest.json").write_text(json.dumps(manifest | change), encoding="utf-8")
    with pytest.raises(InvalidArtifactError):
        read_artifact(copy)


def test_an_artifact_with_distances_of_an_older_version_is_loaded(
    spec: MachineSpec, tmp_path: Path
) -> None:
    named = [distance.name for distance in distances_of(spec)]
    folder = make_artifact(tmp_path / "old", manifest(distances=named))
    assert read_artifact(folder).manifest.distances == tuple(named)
    example = [float(value) for value in spec.example.values()]
    assert load_predictor(folder).predict([example]).label.shape == (1,)
