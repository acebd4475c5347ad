"""The DAG file as Airflow parses it, in a process of its own (Airflow has global state)."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PARSE = """
import json, runpy, sys
before = set(sys.modules)
dag = runpy.run_path(sys.argv[1])["csv_file_watcher"]()
heavy = {"polars", "boto3", "alembic", "sklearn", "mlflow", "pandas"} & (set(sys.modules) - before)
print(json.dumps({
    "id": dag.dag_id,
    "schedule": str(dag.schedule),
    "max_active_runs": dag.max_active_runs,
    "params": {name: dag.params[name] for name in dag.params},
    "tasks": {t.task_id: sorted(t.downstream_task_ids) for t in dag.tasks},
    "retries": {t.task_id: t.retries for t in dag.tasks},
    "mapped": [t.task_id for t in dag.tasks if t.is_mapped],
    "outlets": {t.task_id: [o.name for o in t.outlets] for t in dag.tasks if t.outlets},
    "from_trigger": dag.get_task("wait_for_incoming").start_from_trigger,
    "heavy": sorted(heavy),
}))
"""


@pytest.fixture(scope="module")
def dag(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    home = tmp_path_factory.mktemp("airflow")
    file = ROOT / "airflow" / "dags" / "csv_file_watcher.py"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PARSE, str(file)], check=True, capture_output=True,
        env=os.environ | {"AIRFLOW_HOME": str(home)}, text=True,
    )  # fmt: skip
    return dict(json.loads(done.stdout.splitlines()[-1]))


def test_the_contracts_name(dag: dict[str, Any]) -> None:
    assert dag["id"] == "csv_file_watcher"


def test_bucket_and_prefixes_are_parameters(dag: dict[str, Any]) -> None:
    assert dag["params"] == {
        "bucket": "csv-data", "incoming": "incoming/", "processed": "processed/",
        "quarantine": "quarantine/", "archive": "archive/",
        "curated_bucket": "data", "curated": "curated/",
    }  # fmt: skip


def test_it_waits_plans_files_batches_and_announces_once(dag: dict[str, Any]) -> None:
    assert dag["tasks"] == {
        "wait_for_incoming": ["plan"],
        "plan": ["file_batch"],
        "file_batch": ["announce", "report_failure"],
        "announce": [],
        "report_failure": [],
    }
    assert dag["mapped"] == ["file_batch"]
    assert dag["outlets"] == {"announce": ["presagio_clean_data"]}
    assert dag["schedule"] == "@continuous"
    assert dag["max_active_runs"] == 1


def test_what_touches_store_or_ledger_is_retried(dag: dict[str, Any]) -> None:
    assert dag["retries"]["plan"] >= 1
    assert dag["retries"]["file_batch"] >= 1
    assert dag["retries"]["wait_for_incoming"] >= 1


def test_waiting_holds_no_worker(dag: dict[str, Any]) -> None:
    assert dag["from_trigger"] is True


def test_parsing_imports_nothing_heavy(dag: dict[str, Any]) -> None:
    assert dag["heavy"] == []


PARSE_ANY = """
import json, runpy, sys
before = set(sys.modules)
dag = runpy.run_path(sys.argv[1])[sys.argv[2]]()
heavy = {"polars", "boto3", "alembic", "sklearn", "mlflow", "pandas", "scipy"}
print(json.dumps({
    "schedule": str(dag.schedule),
    "params": {name: dag.params[name] for name in dag.params},
    "tasks": {t.task_id: sorted(t.downstream_task_ids) for t in dag.tasks},
    "heavy": sorted(heavy & (set(sys.modules) - before)),
}))
"""


def _parsed(name: str, home: Path, **env: str) -> dict[str, Any]:
    file = ROOT / "airflow" / "dags" / f"{name}.py"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PARSE_ANY, str(file), name], check=True, text=True,
        env=os.environ | {"AIRFLOW_HOME": str(home)} | env, capture_output=True,
    )  # fmt: skip
    return dict(json.loads(done.stdout.splitlines()[-1]))


def test_training_follows_clean_data(tmp_path: Path) -> None:
    dag = _parsed("train_champion", tmp_path)
    assert "presagio_clean_data" in dag["schedule"]
    assert dag["params"] == {"min_new_rows": 10_000}
    assert dag["tasks"] == {
        "count_new_rows": ["train_and_judge"],
        "train_and_judge": ["tell_api"],
        "tell_api": [],
    }
    assert dag["heavy"] == []


def test_training_can_have_a_schedule_too(tmp_path: Path) -> None:
    dag = _parsed("train_champion", tmp_path, PRESAGIO_TRAIN_SCHEDULE="30 5 * * *")
    assert "AssetOrTimeSchedule" in dag["schedule"]


def test_drift_is_looked_for_by_a_schedule(tmp_path: Path) -> None:
    dag = _parsed("monitor_drift", tmp_path)
    assert "CronTriggerTimetable" in dag["schedule"]
    assert dag["tasks"] == {"watch": []}
    assert dag["heavy"] == []
