"""Workers under docker compose: two of them, behind PgBouncer, and one is killed at work.

``COMPOSE_TEST_WITH=celery deploy/compose_test.sh test tests/e2e/test_workers_in_containers.py``.
"""

import os

import pytest

from presagio.ingest.verify import verify
from presagio.storage.receipt import Receipt
from tests.e2e.containers import ContainerStack, docker
from tests.e2e.stack import Stack, eventually
from tests.readings import HEADER

pytestmark = [
    pytest.mark.containers,
    pytest.mark.skipif(
        os.environ.get("COMPOSE_TEST_WITH") != "celery", reason="this stack has no workers"
    ),
]
_FILES = 300


def _workers() -> list[str]:
    label = "label=com.docker.compose.service=airflow-worker"
    return docker("ps", "--quiet", "--filter", label).split()


def _filed(stack: Stack) -> list[Receipt]:
    receipts = stack.intake.ledger.receipts(bucket="csv-data", limit=None)
    return [each for each in receipts if each.identity.key.startswith("incoming/scaled/")]


def _at_work(worker: str) -> bool:
    spools = docker("exec", worker, "sh", "-c", "ls -d /var/lib/presagio/presagio-spool-* || true")
    return "spool" in spools


def _of_postgres(stack: ContainerStack, query: str) -> set[str]:
    """Ask PostgreSQL itself, as its superuser."""
    password = f"PGPASSWORD={stack.variables['PRESAGIO_POSTGRES_PASSWORD']}"
    psql = ("psql", "--host", "127.0.0.1", "--username", "postgres", "--no-align", "--tuples-only")
    postgres = stack.service("postgres")["id"]
    return set(docker("exec", "--env", password, postgres, *psql, "--command", query).split())


def _addresses(service: str) -> set[str]:
    label = f"label=com.docker.compose.service={service}"
    form = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}"
    found = docker("ps", "--quiet", "--filter", label).split()
    return set(docker("inspect", "--format", form, *found).split())


def test_airflow_and_its_workers_reach_postgresql_through_pgbouncer(stack: Stack) -> None:
    assert isinstance(stack, ContainerStack)
    peers = "SELECT DISTINCT host(client_addr) FROM pg_stat_activity WHERE "
    airflow = _of_postgres(stack, f"{peers} datname = 'airflow'")
    assert airflow == _addresses("pgbouncer")
    ledger = _of_postgres(stack, f"{peers} usename = 'presagio'")
    assert not ledger & _addresses("airflow-worker")


def test_a_killed_worker_comes_back_and_its_log_with_it(stack: Stack) -> None:
    assert isinstance(stack, ContainerStack)
    assert len(_workers()) == 2
    for i in range(_FILES):
        body = HEADER + f"\nL,300,310,1500,{20 + i / 1000},{i % 200}".encode()
        stack.intake.store.write("csv-data", f"incoming/scaled/{i:03}.csv", body)
    assert eventually(lambda: len(_filed(stack)) >= _FILES // 4, limit_s=120)
    victim = eventually(lambda: [each for each in _workers() if _at_work(each)], limit_s=60)[0]
    docker("kill", "--signal", "KILL", victim)
    # The engine starts nothing again that was killed by hand.
    docker("start", victim)
    assert eventually(lambda: len(_filed(stack)) == _FILES, limit_s=150)
    assert sum(receipt.outcome.rows_processed for receipt in _filed(stack)) == _FILES
    assert eventually(lambda: verify(stack.intake).differences == (), limit_s=60)
    runs = {str(receipt.run_id) for receipt in _filed(stack)}
    with stack.airflow() as airflow:
        tasks = [
            (f"/dags/csv_file_watcher/dagRuns/{run}/taskInstances/file_batch/logs/1", task)
            for run in runs
            for task in airflow.get(f"/dags/csv_file_watcher/dagRuns/{run}/taskInstances")
            .raise_for_status()
            .json()["task_instances"]
            if task["task_id"] == "file_batch" and task["try_number"] > 1
        ]
        assert tasks
        for path, task in tasks:
            read = airflow.get(path, params={"map_index": task["map_index"], "full_content": True})
            assert "s3://data/airflow-logs/" in read.raise_for_status().text
