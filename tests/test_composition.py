"""Settings are read where a program begins, and nowhere else: everything else is handed them."""

import ast
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

SOURCE = Path(__file__).parents[1] / "src" / "presagio"
# The program, and where it begins.
ROOTS = {
    "cli/composition.py": "every command, the exporter among them",
    "orchestration/tasks.py": "tasks of the DAGs",
    "scoring/cluster.py": "a task of Ray, on whichever node it runs",
    "serving/app.py": "the API, where nobody hands it settings",
    "deployment/provision.py": "steps of a deployment, as python -m",
    "deployment/backup.py": "copies of buckets, as python -m",
    "orchestration/airflow_accounts.py": "accounts of Airflow, as python -m",
}


def _reads_settings(path: Path) -> bool:
    calls = (
        node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)
    )
    return any(isinstance(called, ast.Name) and called.id == "load_settings" for called in calls)


def test_each_program_reads_settings_in_one_place() -> None:
    found = {
        str(path.relative_to(SOURCE)) for path in SOURCE.rglob("*.py") if _reads_settings(path)
    }
    assert found == set(ROOTS)
