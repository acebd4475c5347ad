"""Artifacts that are wrong inside: all are refused, by a check or by trying them."""

import signal
from pathlib import Path

import pytest

from presagio.errors import InvalidArtifactError
from presagio.inference import trial
from presagio.inference.artifact import sha256_of
from presagio.inference.predictor import fallback_folder, load_predictor
from presagio.inference.rehearsal import rehearse
from tests.inference.broken import BROKEN, LARGE, make_artifact, never_ends


def _digest(folder: Path) -> str:
    return sha256_of(folder / "manifest.json")


@pytest.mark.parametrize("kind", BROKEN)
def test_what_is_wrong_inside_is_an_invalid_artifact(kind: str, tmp_path: Path) -> None:
    folder = make_artifact(tmp_path / "artifact", BROKEN[kind])
    with pytest.raises(InvalidArtifactError) as refused:
        rehearse(load_predictor(folder))
    assert len(str(refused.value)) < 2000


def test_the_bundled_artifact_passes_every_check(tmp_path: Path) -> None:
    folder = make_artifact(tmp_path / "artifact")
    rehearse(load_predictor(folder))
    trial.try_artifact(folder, digest=_digest(folder), limit_s=60)


@pytest.mark.parametrize("kind", LARGE)
def test_memory_is_bounded_while_an_artifact_is_tried(kind: str, tmp_path: Path) -> None:
    folder = make_artifact(tmp_path / "artifact", LARGE[kind])
    with pytest.raises(InvalidArtifactError):
        trial.try_artifact(folder, digest=_digest(folder), limit_s=60)


def test_a_graph_that_never_ends_is_given_up(tmp_path: Path) -> None:
    folder = make_artifact(tmp_path / "artifact", never_ends())
    with pytest.raises(InvalidArtifactError, match=r"longer than 4 s|more time of the processor"):
        trial.try_artifact(folder, digest=_digest(folder), limit_s=4)


def test_a_refusal_is_told_as_the_child_found_it(tmp_path: Path) -> None:
    folder = make_artifact(tmp_path / "artifact")
    with pytest.raises(InvalidArtifactError, match="has digest"):
        trial.try_artifact(folder, digest="0" * 64, limit_s=60)


def test_how_a_process_ended_is_told() -> None:
    assert "SIGSEGV" in trial._ended(-signal.SIGSEGV)
    assert "processor" in trial._ended(-signal.SIGXCPU)
    assert "status 7" in trial._ended(7)


def test_an_artifact_is_tried_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_artifact(tmp_path / "artifact")
    tried: list[str] = []

    def note(folder: Path, *, digest: str, limit_s: float) -> None:
        del folder, limit_s
        tried.append(digest)

    monkeypatch.setattr(trial, "try_artifact", note)
    for _ in range(3):
        trial.try_once(folder, digest=_digest(folder), limit_s=60)
    assert len(tried) == 1
    # Another runtime may do something else with the same bytes, and a note may be anything.
    monkeypatch.setattr(trial, "version", lambda _: "another")
    trial.try_once(folder, digest=_digest(folder), limit_s=60)
    (folder / "tried").write_bytes(b"\xff" * 70)
    trial.try_once(folder, digest=_digest(folder), limit_s=60)
    assert len(tried) == 3


def test_secrets_are_not_handed_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRESAGIO_TOKEN_SECRET", "secret")
    seen: dict[str, str] = {}

    class Done:
        returncode = 0

    def run(command: list[str], *, env: dict[str, str], **_: object) -> Done:
        assert isinstance(command, list)
        seen.update(env)
        return Done()

    monkeypatch.setattr("presagio.inference.trial.subprocess.run", run)
    trial.try_artifact(fallback_folder(), digest=_digest(fallback_folder()), limit_s=1)
    assert "PATH" in seen
    assert not [name for name in seen if name.startswith("PRESAGIO_")]
