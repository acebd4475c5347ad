"""Each service is killed in turn: it comes back by itself, and nothing is lost."""

import os
import signal
from pathlib import Path

import pytest

from presagio.registry.writer import open_registry
from tests.e2e.stack import Stack, eventually


@pytest.mark.parametrize(
    "name",
    [
        "api", "s3", "postgres", "mlflow", "airflow-apiserver", "airflow-scheduler",
        "airflow-dag-processor", "airflow-triggerer",
    ],
)  # fmt: skip
def test_a_killed_service_comes_back_with_nothing_lost(
    stack: Stack, name: str, tmp_path: Path
) -> None:
    before = stack.service(name)
    champion = open_registry(stack.settings).resolve()
    os.kill(before["pid"], signal.SIGKILL)

    def is_back() -> bool:
        # Whoever is away, the API lives and answers.
        assert name == "api" or stack.live()
        now = stack.service(name)
        return bool(now["state"] == "healthy" and now["restarts"] > before["restarts"])

    assert eventually(is_back, limit_s=180)
    stack.file_one_row(tmp_path, before["pid"])
    # Whatever was away, the API is back on the champion without a restart.
    assert eventually(lambda: not stack.ready()["degraded"], limit_s=30)
    assert open_registry(stack.settings).resolve() == champion
    assert eventually(lambda: stack.ready()["version"] == champion.version)
