"""deploy/backup.sh with a command in the place of compose that writes down what it is asked."""

import os
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
_COMPOSE = """#!/bin/sh
echo "$*" >>{asked}
case $1 in
  config) printf '%s\\n' {services} ;;
  exec) echo dump ;;
  run) echo tar; echo 'no objects' >&2 ;;
esac
"""
WRITERS = {"airflow-scheduler", "inference_api", "console"}


def _asked(step: str, folder: Path, *files: str) -> list[list[str]]:
    """Return what the script asks of compose, with the services that files have."""
    services = {
        name for file in files
        for name in yaml.safe_load((ROOT / file).read_text("utf-8"))["services"]
    }  # fmt: skip
    compose, asked = folder / "compose", folder / "asked"
    compose.write_text(_COMPOSE.format(asked=asked, services=" ".join(sorted(services))), "utf-8")
    compose.chmod(0o700)
    asked.unlink(missing_ok=True)
    subprocess.run(
        ["bash", str(ROOT / "deploy/backup.sh"), step, str(folder / "backup")],
        check=True, capture_output=True, env=os.environ | {"COMPOSE": str(compose)},
    )  # fmt: skip
    return [line.split() for line in asked.read_text("utf-8").splitlines()]


@pytest.mark.parametrize(
    ("files", "writers"),
    [
        (("compose.yaml",), WRITERS),
        (
            ("compose.yaml", "deploy/compose.celery.yaml"),
            WRITERS | {"airflow-worker", "airflow-worker-train"},
        ),
    ],
)
def test_who_writes_waits_while_it_is_saved_and_is_stopped_while_it_is_restored(
    files: tuple[str, ...], writers: set[str], tmp_path: Path
) -> None:
    saving = [line for line in _asked("save", tmp_path, *files) if line[0] != "config"]
    assert [line[0] for line in saving] == ["pause", *["exec"] * 3, "run", "unpause"]
    assert set(saving[0][1:]) == set(saving[-1][1:]) == writers
    restoring = _asked("restore", tmp_path, *files)
    (stopped,) = [line for line in restoring if line[0] == "stop"]
    assert set(stopped[1:]) >= writers | {"mlflow"}
    first = next(n for n, line in enumerate(restoring) if line[0] == "exec")
    assert restoring.index(stopped) < first
    assert restoring[-1] == ["up", "-d"]
