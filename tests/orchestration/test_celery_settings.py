"""What Airflow is told to run its tasks on workers, and what it makes of it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from presagio.errors import SettingsError
from presagio.orchestration.celery_settings import celery_env, scheduler_env
from presagio.orchestration.queues import INTAKE_LIMIT, TRAIN_LIMIT, VISIBILITY_TIMEOUT_S
from presagio.settings import Settings
from presagio.storage.objects import open_store
from tests.conftest import RunningServices

BROKER = "redis://airflow:secret@127.0.0.1:6379/0"


def _settings(**values: object) -> Settings:
    return Settings.model_validate({"home": Path("/nowhere"), "broker_url": BROKER, **values})


def test_a_message_is_not_handed_out_again_while_its_task_may_still_run() -> None:
    assert max(INTAKE_LIMIT, TRAIN_LIMIT).total_seconds() < VISIBILITY_TIMEOUT_S
    env = celery_env(_settings())
    timeout = env["AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT"]
    assert int(timeout) == VISIBILITY_TIMEOUT_S
    assert env["AIRFLOW__CELERY__TASK_ACKS_LATE"] == "True"


def test_a_task_that_waits_for_a_slot_is_sent_again_for_longer_than_others_may_run() -> None:
    env = scheduler_env()
    pause_s = int(env["AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT"])
    times = int(env["AIRFLOW__SCHEDULER__NUM_STUCK_IN_QUEUED_RETRIES"])
    assert pause_s * times > max(INTAKE_LIMIT, TRAIN_LIMIT).total_seconds()


def test_results_are_beside_the_messages_and_not_in_airflows_database() -> None:
    env = celery_env(_settings())
    assert env["AIRFLOW__CELERY__RESULT_BACKEND"] == BROKER.removesuffix("/0") + "/1"
    assert not [key for key in env if key.startswith("AIRFLOW__DATABASE")]


@pytest.mark.parametrize(
    "url", ["redis://127.0.0.1:6379/0", "redis://airflow@host/0", "amqp://a:b@c"]
)
def test_a_broker_without_a_password_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="redis://USER:PASSWORD@HOST:PORT/0") as refused:
        celery_env(_settings(broker_url=url))
    assert url not in str(refused.value)


def test_without_a_broker_the_variable_is_named() -> None:
    with pytest.raises(SettingsError, match="PRESAGIO_BROKER_URL"):
        celery_env(_settings(broker_url=None))


def test_amazons_store_is_asked_at_its_address_and_with_its_keys() -> None:
    env = celery_env(_settings(s3_region="eu-west-1", data_bucket="plant-data"))
    connection = json.loads(env["AIRFLOW_CONN_PRESAGIO_LOGS"])
    assert connection == {"conn_type": "aws", "extra": {"region_name": "eu-west-1"}}
    assert env["AIRFLOW__LOGGING__REMOTE_BASE_LOG_FOLDER"] == "s3://plant-data/airflow-logs"


# Airflow in a process of its own: it has global state.
_LEFT_OVERS = """
import sys
from pathlib import Path
from presagio.orchestration.worker import upload_left_overs
uploaded = upload_left_overs(Path(sys.argv[1]))
from airflow.providers.celery.executors.celery_executor import CeleryExecutor
executor = CeleryExecutor(parallelism=1)
conf = executor.celery_app.conf
print(uploaded, conf.broker_transport_options["visibility_timeout"], conf.task_acks_late,
      conf.worker_prefetch_multiplier, conf.task_default_queue)
"""


@pytest.mark.integration
def test_logs_that_a_killed_worker_left_are_uploaded_and_airflow_takes_the_settings(
    services: RunningServices, tmp_path: Path
) -> None:
    logs = tmp_path / "worker-logs"
    task = logs / "dag_id=d" / "run_id=r" / "task_id=t"
    task.mkdir(parents=True)
    (task / "attempt=1.log").write_text("killed at work", "utf-8")
    (task / "attempt=2.log").write_text("", "utf-8")
    env = celery_env(services.settings.model_copy(update={"broker_url": _settings().broker_url}))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _LEFT_OVERS, str(logs)], check=False,
        capture_output=True, text=True,
        env=os.environ | env | {
            "AIRFLOW_HOME": str(tmp_path), "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(logs)
        },
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"1 {VISIBILITY_TIMEOUT_S} True 1 intake"
    assert list(logs.rglob("*.log")) == []
    store = open_store(services.settings)
    stored = store.read("data", "airflow-logs/dag_id=d/run_id=r/task_id=t/attempt=1.log")
    assert stored is not None
    assert stored[0] == b"killed at work"
