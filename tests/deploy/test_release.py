"""What the release workflow calls: notes from the changelog, images step by step."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
RELEASE = ROOT / "deploy/release"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
REGISTRY = "registry.test/owner/presagio"


def _run(*command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, check=False, capture_output=True, text=True, env=os.environ | variables
    )


def _images(step: str, **variables: str) -> list[list[str]]:
    """Return the commands that a step would run, for a version."""
    said = {
        "PRESAGIO_REGISTRY": REGISTRY, "PRESAGIO_VERSION": "v1.2.3", "PRESAGIO_REVISION": COMMIT,
        "DRY_RUN": "1",
    }  # fmt: skip
    done = _run("bash", str(RELEASE / "images.sh"), step, **(said | variables))
    assert done.returncode == 0, done.stderr
    return [shlex.split(line) for line in done.stdout.splitlines()]


def _notes(version: str, changelog: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """Run the script in a project of its own."""
    script = tmp_path / "deploy/release/notes.py"
    script.parent.mkdir(parents=True)
    script.write_bytes((RELEASE / "notes.py").read_bytes())
    (tmp_path / "CHANGELOG.md").write_text(changelog, "utf-8")
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.2.3"\n', "utf-8")
    return _run(sys.executable, str(script), version)


CHANGELOG = """# Changes

## [Unreleased]

## [1.2.3] - 2026-11-24

### Added

- A thing.

## [1.2.2] - 2026-01-01

- An older thing.
"""


def test_notes_are_what_the_changelog_says_of_the_version(tmp_path: Path) -> None:
    assert _notes("v1.2.3", CHANGELOG, tmp_path).stdout == "### Added\n\n- A thing.\n"


@pytest.mark.parametrize(
    ("version", "changelog", "says"),
    [
        ("v1.2.3", CHANGELOG.replace("[1.2.3]", "[1.2.30]"), "says nothing of 1.2.3"),
        ("v1.2.3", CHANGELOG.replace("### Added\n\n- A thing.", ""), "says nothing of 1.2.3"),
        ("v1.2.4", CHANGELOG, "pyproject.toml has version 1.2.3"),
        ("latest", CHANGELOG, "usage"),
    ],
)
def test_no_release_without_notes_or_of_another_version(
    version: str, changelog: str, says: str, tmp_path: Path
) -> None:
    done = _notes(version, changelog, tmp_path)
    assert done.returncode != 0
    assert says in done.stderr


def test_images_are_built_for_all_architectures_with_sbom_and_provenance() -> None:
    built = [line for line in _images("build") if "build" in line]
    assert len(built) == 4
    for line in built:
        said = " ".join(line)
        assert "--platform linux/amd64,linux/arm64" in said
        assert "--provenance mode=max --sbom true" in said
        assert "--cache-from" in line
        assert re.search(r"PYTHON_IMAGE=python@sha256:[0-9a-f]{64}", said)
        assert f"REVISION={COMMIT}" in said
        # A version's tags are given to what was scanned and signed only.
        assert [line[i + 1] for i, word in enumerate(line) if word == "--tag"] == [
            f"{REGISTRY}/{Path(line[line.index('--file') + 1]).stem}:sha-{COMMIT[:12]}"
        ]


def test_each_architecture_is_scanned_for_what_can_be_fixed() -> None:
    scanned = [" ".join(line) for line in _images("scan")]
    assert len(scanned) == 8
    for line in scanned:
        assert "--ignore-unfixed --severity HIGH,CRITICAL --exit-code 1" in line


def test_what_is_signed_is_named_by_digest() -> None:
    assert all(re.search(r"@sha256:[0-9a-f]{64}$", line[-1]) for line in _images("sign"))
    assert len(_images("sign")) == 4


def test_tags_are_of_the_version_and_of_its_series() -> None:
    tags = {word for line in _images("tag") for word in line if word.startswith(REGISTRY)}
    assert tags == {
        f"{REGISTRY}/{image}:{tag}"
        for image in ("api", "console", "airflow", "mlflow")
        for tag in ("1.2.3", "1.2", f"sha-{COMMIT[:12]}")
    }


def test_digests_are_all_that_the_override_asks_for() -> None:
    override = (ROOT / "deploy/compose.digest.yaml").read_text("utf-8")
    wanted = set(re.findall(r"\$\{(PRESAGIO_\w+_DIGEST):\?", override))
    told = {line[0].partition("=")[0] for line in _images("digests")}
    assert told == wanted | {"PRESAGIO_REGISTRY", "PRESAGIO_VERSION"}


def test_the_override_pins_every_service() -> None:
    override: dict[str, Any] = yaml.safe_load((ROOT / "deploy/compose.digest.yaml").read_text())
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    assert set(override["services"]) == set(services)
    for name, service in override["services"].items():
        mine, theirs = service["image"].split("@")[0], services[name]["image"].rsplit(":", 1)[0]
        assert "@${" in service["image"]
        if "PRESAGIO_REGISTRY" in mine:
            assert mine.rsplit("/", 1)[1] == services[name]["image"].split("}/")[1].split(":")[0]
        else:
            assert mine == theirs


@pytest.mark.parametrize(
    ("step", "variables"),
    [
        ("publish", {}),
        ("build", {"PRESAGIO_VERSION": "latest"}),
        ("build", {"PRESAGIO_REGISTRY": ""}),
    ],
)
def test_what_cannot_be_released_is_refused(step: str, variables: dict[str, str]) -> None:
    said = {"PRESAGIO_REGISTRY": REGISTRY, "PRESAGIO_VERSION": "v1.2.3", "DRY_RUN": "1"}
    done = _run("bash", str(RELEASE / "images.sh"), step, **(said | variables))
    assert done.returncode != 0
    assert done.stdout == ""
    assert done.stderr


def test_workflows_run_scripts_and_tasks_that_there_are() -> None:
    tasks = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    called = 0
    for path in (ROOT / ".github/workflows").glob("*.yml"):
        text = path.read_text("utf-8")
        for task in re.findall(r"\bmake ([a-z0-9-]+)", text):
            assert task in tasks
            called += 1
        for script in re.findall(r"\b(deploy/\S+\.(?:sh|py))", text):
            assert (ROOT / script).is_file()
            called += 1
    assert called >= 9
