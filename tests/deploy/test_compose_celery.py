"""deploy/compose.celery.yaml against the stack without Docker, and against the rest of compose."""

import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from presagio.orchestration.celery_settings import celery_env, scheduler_env
from presagio.orchestration.queues import INTAKE, TRAIN
from presagio.settings import Settings
from presagio.stack import broker
from tests.deploy.test_compose import SERVICES as BASE

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "deploy" / "compose.celery.yaml").read_text(encoding="utf-8")
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(TEXT)["services"]
NEW = sorted(set(SERVICES) - set(BASE))
PARTS = (
    "airflow-apiserver", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer",
)  # fmt: skip
WORKERS = {"airflow-worker": INTAKE, "airflow-worker-train": TRAIN}
# An address or a secret.
OTHERWISE = {
    "AIRFLOW__CELERY__BROKER_URL", "AIRFLOW__CELERY__RESULT_BACKEND",
    "AIRFLOW__LOGGING__REMOTE_BASE_LOG_FOLDER", "AIRFLOW_CONN_PRESAGIO_LOGS",
}  # fmt: skip


@pytest.mark.parametrize("name", NEW)
def test_a_container_has_no_rights_that_it_does_not_need(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "ports"} & set(service)
    assert service["networks"] == ["internal"]
    assert service["mem_limit"]
    assert service["cpus"]
    assert service["logging"]["options"]["max-size"]
    assert service["stop_grace_period"] == "10s"
    assert service["restart"] == "unless-stopped"
    assert service["healthcheck"]["test"][0] == "CMD"


def test_nothing_else_than_workers_broker_and_pooler_is_added() -> None:
    assert NEW == ["airflow-worker", "airflow-worker-train", "broker", "pgbouncer"]


@pytest.mark.parametrize("name", PARTS)
def test_both_worlds_tell_airflow_the_same(name: str) -> None:
    url = "redis://airflow:secret@broker:6379/0"
    told = celery_env(Settings.model_validate({"home": ROOT, "broker_url": url})) | scheduler_env()
    there = SERVICES[name]["environment"]
    wanted = {key: value for key, value in told.items() if key not in OTHERWISE}
    assert {key: there.get(key) for key in wanted} == wanted
    assert set(told) >= OTHERWISE
    assert set(there) >= OTHERWISE


@pytest.mark.parametrize(("name", "queue"), WORKERS.items())
def test_a_worker_knows_what_a_stacks_own_knows(name: str, queue: str) -> None:
    service = SERVICES[name]
    assert service["command"][:4] == ["presagio", "worker", "--queue", queue]
    text = str(service["environment"])
    for hidden in ("AIRFLOW_DB_PASSWORD", "JWT_SECRET", "FERNET_KEY", "POSTGRES_PASSWORD"):
        assert f"PRESAGIO_{hidden}" not in text
    # What the scheduler of compose.yaml has for its tasks, a worker has too.
    tasks = {key for key in BASE["airflow-scheduler"]["environment"] if key.startswith("PRESAGIO_")}
    assert tasks - set(service["environment"]) == set()


def test_a_worker_that_is_scaled_shares_no_folder_and_no_port() -> None:
    named = [each for each in SERVICES["airflow-worker"]["volumes"] if ":" in each]
    assert named == ["./specs:/specs:ro"]
    assert not {"container_name", "hostname"} & set(SERVICES["airflow-worker"])


def test_both_worlds_start_the_broker_alike() -> None:
    text = (ROOT / "deploy" / "broker" / "start.sh").read_text("utf-8")
    there = re.search(r"<<CONFIG\n(.*?)CONFIG\n", text, re.DOTALL)
    assert there is not None
    values = {"port": 6379, "folder": "/data", "user": broker.USER, "password": "$BROKER_PASSWORD"}
    here = broker._CONFIG.format(**values).replace("127.0.0.1", "0.0.0.0")  # noqa: S104
    assert there[1] == here


def test_what_changes_tables_is_not_behind_the_pooler() -> None:
    assert "environment" not in SERVICES["airflow-init"]
    assert f"airflow pools set {TRAIN} 1" in SERVICES["airflow-init"]["command"][-1]
    behind = {name for name, each in SERVICES.items() if "@pgbouncer:" in str(each)}
    assert behind == {*PARTS, *WORKERS}


def test_secrets_come_from_the_environment_and_are_made_by_make_env() -> None:
    example = (ROOT / ".env.example").read_text("utf-8")
    for name in re.findall(r"\$\{(\w+):\?", TEXT):
        assert f"\n{name}=\n" in example
    for service in SERVICES.values():
        for key, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|SECRET|FERNET|ACCESS_KEY$", key):
                assert str(value).startswith("${"), key
    assert not [value for value in os.environ.values() if len(value) > 12 and value in TEXT]


def test_images_of_others_are_pinned() -> None:
    for service in SERVICES.values():
        image = service.get("image", "")
        ours = not image or "build" in service or image.startswith("${PRESAGIO_REGISTRY")
        assert ours or re.search(r":v?\d+\.\d+\.\d+$", image)
