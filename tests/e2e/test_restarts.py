"""Services are killed: they come back by themselves, and nothing is lost."""

from pathlib import Path

import pytest

from tests.e2e.stack import Stack
from tests.extent import NIGHTLY

_AIRFLOW = (
    "airflow-apiserver", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer",
)  # fmt: skip
# Each wait for a service to come back is long, so that they are killed in groups; nightly, alone.
_GROUPS = [("api",), ("s3", "postgres", "mlflow", *_AIRFLOW)]
_KILLED = [(name,) for group in _GROUPS for name in group] if NIGHTLY else _GROUPS


@pytest.mark.parametrize("names", _KILLED, ids=" ".join)
def test_killed_services_come_back_with_nothing_lost(
    stack: Stack, names: tuple[str, ...], tmp_path: Path
) -> None:
    stack.assert_back_after_kill(names, tmp_path, 300 + len(names))
