"""The DAG files as Airflow parses them, in a process of its own (Airflow has global state).

One process for all: the import of Airflow takes more time than everything else here.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from presagio.orchestration.queues import VISIBILITY_TIMEOUT_S
from tests.conftest import free_ports
from tests.pumps import PUMPS

NAMES = (
    "csv_file_watcher", "train_champion", "monitor_drift", "ingest_verify", "compact", "retention",
    "bulk_score", "score_arrivals",
)  # fmt: skip
DAGS = Path(__file__).parents[2] / "airflow" / "dags"
PARSE = """
import json, os, runpy, sys

def parse(name, fleet="", **env):
    os.environ.update(env)
    before = set(sys.modules)
    made = runpy.run_path(f"{sys.argv[1]}/{name}.py")
    registered = {dag.dag_id for dag, _ in DagContext.autoregistered_dags}
    settings = load_settings()
    dag = made["make_dag"](settings.of_fleet(fleet) if fleet else settings)
    found = {
        "registered": sorted(dag_id for dag_id in registered if dag_id.startswith(name)),
        "id": dag.dag_id,
        "schedule": str(dag.schedule),
        "max_active_runs": dag.max_active_runs,
        "params": {name: dag.params[name] for name in dag.params},
        "tasks": {t.task_id: sorted(t.downstream_task_ids) for t in dag.tasks},
        "retries": {t.task_id: t.retries for t in dag.tasks},
        "places": {t.task_id: [t.queue, t.pool] for t in dag.tasks},
        "limits": {
            t.task_id: t.execution_timeout and t.execution_timeout.total_seconds()
            for t in dag.tasks
        },
        "mapped": [t.task_id for t in dag.tasks if t.is_mapped],
        "outlets": {t.task_id: [o.name for o in t.outlets] for t in dag.tasks if t.outlets},
        "access": {
            role: {on: sorted(may) for on, may in rights.items()}
            for role, rights in (dag.access_control or {}).items()
        },
        "from_trigger": [t.task_id for t in dag.tasks if t.start_from_trigger],
        "heavy": sorted(HEAVY & (set(sys.modules) - before)),
    }
    # The next one is to be seen importing it, too.
    for module in set(sys.modules) - before:
        del sys.modules[module]
    return found

HEAVY = {"polars", "sqlalchemy", "alembic", "sklearn", "mlflow", "pandas", "scipy"}
import airflow.sdk
from airflow.sdk.definitions._internal.contextmanager import DagContext
from presagio.settings import load_settings
DagContext.current_autoregister_module_name = "__main__"
print(json.dumps({
    name: parse(name)
    for name in sys.argv[2:]
} | {
    "scheduled": parse("train_champion", PRESAGIO_TRAIN_SCHEDULE="30 5 * * *"),
    "for a role": parse("train_champion", PRESAGIO_AIRFLOW_CONSOLE_ROLE="presagio_console"),
    "with workers": parse("train_champion", PRESAGIO_TRAIN_POOL="train"),
    "of pumps": parse("csv_file_watcher", "pumps"),
}))
"""


@pytest.fixture(scope="module")
def dags(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    home = tmp_path_factory.mktemp("airflow")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PARSE, str(DAGS), *NAMES],
        check=False, capture_output=True,
        env=os.environ | {
            "AIRFLOW_HOME": str(home), "PRESAGIO_FLEETS": str(PUMPS),
            # No store answers here: the fleets that the settings name have their DAGs all the same.
            "PRESAGIO_S3_ENDPOINT": free_ports().url("s3"), "PRESAGIO_S3_ACCESS_KEY": "k",
            "PRESAGIO_S3_SECRET_KEY": "s",
        },
        text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


@pytest.fixture
def dag(dags: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return dags["csv_file_watcher"]


@pytest.mark.parametrize("name", NAMES)
def test_parsing_imports_nothing_heavy(dags: dict[str, dict[str, Any]], name: str) -> None:
    assert dags[name]["heavy"] == []


@pytest.mark.parametrize("name", NAMES)
def test_each_fleet_has_a_dag_of_its_own(dags: dict[str, dict[str, Any]], name: str) -> None:
    assert dags[name]["registered"] == [name, f"{name}_pumps"]


def test_the_dag_of_another_fleet_has_its_prefixes_and_its_asset(
    dags: dict[str, dict[str, Any]],
) -> None:
    dag = dags["of pumps"]
    assert dag["id"] == "csv_file_watcher_pumps"
    assert dag["params"]["incoming"] == "incoming/pumps/"
    assert dag["params"]["curated"] == "curated/pumps/"
    assert dag["outlets"] == {"announce": ["presagio_clean_data_pumps"]}


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


def test_trainings_have_a_queue_and_a_pool_and_everything_else_the_other_queue(
    dags: dict[str, dict[str, Any]],
) -> None:
    for name in NAMES:
        places = dags[name]["places"]
        training = places.pop("train_and_evaluate", ["train", "default_pool"])
        assert training == ["train", "default_pool"]
        assert {*map(tuple, places.values())} == {("intake", "default_pool")}
    assert dags["with workers"]["places"]["train_and_evaluate"] == ["train", "train"]
    assert dags["with workers"]["places"]["tell_api"] == ["intake", "default_pool"]


def test_a_training_is_all_that_the_consoles_role_may_start(
    dags: dict[str, dict[str, Any]],
) -> None:
    may = {"DAGs": ["can_edit", "can_read"], "DAG Runs": ["can_create", "can_read"]}
    assert dags["for a role"]["access"] == {"presagio_console": may}
    # Where no role is named, as without Docker, none is.
    assert [name for name in NAMES if dags[name]["access"]] == []


def test_what_works_ends_before_the_broker_hands_it_out_again(
    dags: dict[str, dict[str, Any]],
) -> None:
    for name in NAMES:
        for task, limit in dags[name]["limits"].items():
            if task not in ("wait_for_incoming", "wait_for_filed", "report_failure"):
                assert 0 < limit < VISIBILITY_TIMEOUT_S, task
    # Waiting takes as long as it takes: nothing may end it.
    assert dags["csv_file_watcher"]["limits"]["wait_for_incoming"] is None


def test_waiting_holds_no_worker(dag: dict[str, Any]) -> None:
    assert dag["from_trigger"] == ["wait_for_incoming"]


def test_what_is_filed_is_scored_apart_from_filing(dags: dict[str, dict[str, Any]]) -> None:
    dag = dags["score_arrivals"]
    assert dag["tasks"] == {"wait_for_filed": ["score"], "score": []}
    assert (dag["from_trigger"], dag["limits"]["wait_for_filed"]) == (["wait_for_filed"], None)
    assert dag["max_active_runs"] == 1
    assert min(dag["retries"].values()) >= 1


def test_training_follows_clean_data(dags: dict[str, dict[str, Any]]) -> None:
    dag = dags["train_champion"]
    assert "presagio_clean_data" in dag["schedule"]
    assert dag["params"] == {"min_new_rows": 10_000}
    assert dag["tasks"] == {
        "count_new_rows": ["train_and_evaluate"],
        "train_and_evaluate": ["sum_up", "tell_api"],
        "tell_api": ["sum_up"],
        "sum_up": [],
    }


def test_training_can_have_a_schedule_too(dags: dict[str, dict[str, Any]]) -> None:
    assert "AssetOrTimeSchedule" in dags["scheduled"]["schedule"]


def test_drift_is_looked_for_by_a_schedule(dags: dict[str, dict[str, Any]]) -> None:
    dag = dags["monitor_drift"]
    assert "CronTriggerTimetable" in dag["schedule"]
    assert dag["tasks"] == {"watch": []}


@pytest.mark.parametrize("name", ["compact", "retention"])
def test_what_is_kept_is_looked_after_by_a_schedule(
    dags: dict[str, dict[str, Any]], name: str
) -> None:
    assert "CronTriggerTimetable" in dags[name]["schedule"]
    assert dags[name]["max_active_runs"] == 1


def test_bulk_scoring_is_asked_for_and_maps_over_batches(dags: dict[str, dict[str, Any]]) -> None:
    dag = dags["bulk_score"]
    assert dag["schedule"] == "None"
    assert dag["params"] == {
        "source": "s3://csv-data/to_score/", "to": "s3://data/scores/", "version": None,
        "resume": True,
    }  # fmt: skip
    assert dag["tasks"] == {
        "plan": ["join_tails", "with_tails"],
        "with_tails": ["find_tails"],
        "find_tails": ["join_tails"],
        "join_tails": ["score", "sum_up"],
        "score": ["sum_up"],
        "sum_up": [],
    }
    assert sorted(dag["mapped"]) == ["find_tails", "score"]
