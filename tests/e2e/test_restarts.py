"""Services are killed: they come back by themselves, and nothing is lost."""

import os
import signal
from pathlib import Path

import pytest

from presagio.registry.writer import open_registry
from tests.e2e.stack import Stack, eventually
from tests.extent import NIGHTLY

_AIRFLOW = (
    "airflow-apiserver", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer",
)  # fmt: skip
# Each wait for a service to come back is long, so that they are killed in groups; nightly, alone.
_GROUPS = [("api",), ("s3", "postgres"), ("mlflow", *_AIRFLOW)]
_KILLED = [(name,) for group in _GROUPS for name in group] if NIGHTLY else _GROUPS


@pytest.mark.parametrize("names", _KILLED, ids=" ".join)
def test_killed_services_come_back_with_nothing_lost(
    stack: Stack, names: tuple[str, ...], tmp_path: Path
) -> None:
    before = {name: stack.service(name) for name in names}
    champion = open_registry(stack.settings).resolve()
    for service in before.values():
        os.kill(service["pid"], signal.SIGKILL)

    def are_back() -> bool:
        # Whoever is away, the API lives and answers.
        assert names == ("api",) or stack.live()
        now = {found["name"]: found for found in stack.status()["services"]}
        return all(
            now[name]["state"] == "healthy" and now[name]["restarts"] > before[name]["restarts"]
            for name in names
        )

    assert eventually(are_back, limit_s=180)
    stack.file_one_row(tmp_path, 300 + len(names))
    # Whatever was away, the API is back on the champion without a restart.
    assert eventually(lambda: not stack.ready()["degraded"], limit_s=30)
    assert open_registry(stack.settings).resolve() == champion
    assert eventually(lambda: stack.ready()["version"] == champion.version)
