"""Artifacts that are wrong inside: all are refused, by a check or by trying them."""

import sys
from collections.abc import Callable
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


@pytest.fixture
def interpreter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Have another program run in place of Python, with a line of shell as what it does."""

    def does(line: str) -> None:
        program = tmp_path / "python"
        program.write_text(f"#!/bin/sh\n{line}\n", encoding="utf-8")
        program.chmod(0o700)
        monkeypatch.setattr(sys, "executable", str(program))

    return does


@pytest.mark.parametrize(
    ("line", "message"),
    [("kill -SEGV $$", "SIGSEGV"), ("kill -XCPU $$", "processor"), ("exit 7", "status 7")],
)
def test_a_refusal_says_how_the_process_ended(
    interpreter: Callable[[str], None], line: str, message: str
) -> None:
    interpreter(line)
    with pytest.raises(InvalidArtifactError, match=message):
        trial.try_artifact(fallback_folder(), digest=_digest(fallback_folder()), limit_s=60)


def test_an_artifact_is_tried_once(tmp_path: Path, interpreter: Callable[[str], None]) -> None:
    folder = make_artifact(tmp_path / "artifact")
    count = tmp_path / "count"
    interpreter(f"echo once >> {count}")

    def tried() -> int:
        trial.try_once(folder, digest=_digest(folder), limit_s=60)
        return len(count.read_text(encoding="ascii").splitlines())

    assert [tried() for _ in range(3)] == [1, 1, 1]
    # Another runtime may do something else with the same bytes, and a note may be anything.
    note = (folder / "tried").read_text(encoding="utf-8")
    (folder / "tried").write_text(f"{note[:-1]}_", encoding="utf-8")
    assert [tried() for _ in range(2)] == [2, 2]
    (folder / "tried").write_bytes(b"\xff" * len(note))
    assert [tried() for _ in range(2)] == [3, 3]


def test_secrets_are_not_handed_down(
    tmp_path: Path, interpreter: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRESAGIO_TOKEN_SECRET", "secret")
    interpreter(f"env > {tmp_path / 'environment'}")
    trial.try_artifact(fallback_folder(), digest=_digest(fallback_folder()), limit_s=60)
    seen = (tmp_path / "environment").read_text(encoding="utf-8")
    assert "PATH=" in seen
    assert "PRESAGIO_" not in seen
