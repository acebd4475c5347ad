"""Celery workers on this machine, in place of the LocalExecutor, and what they need."""

import sys
from collections.abc import Mapping

from pydantic import SecretStr

from presagio.deployment.health import answers_ping, beats
from presagio.orchestration.celery_settings import celery_env, scheduler_env
from presagio.orchestration.queues import INTAKE, TRAIN
from presagio.settings import Settings
from presagio.stack.broker import USER, broker_command, broker_url
from presagio.stack.credentials import Credentials
from presagio.stack.layout import Layout
from presagio.stack.ports import Ports
from presagio.stack.service import Service, sibling


def workers_addresses(ports: Ports, credentials: Credentials) -> dict[str, str]:
    """Return the settings that a stack with workers has besides those of every stack."""
    return {
        "PRESAGIO_BROKER_URL": broker_url(ports, credentials.broker_password),
        "PRESAGIO_TRAIN_POOL": TRAIN,
    }


def _intake_slots(settings: Settings, workers: int) -> int:
    """Return how many tasks of the intake run at once, on this host and on those that join."""
    here = workers * settings.worker_slots
    is_set = "intake_slots" in settings.model_fields_set
    return max(here, settings.intake_slots) if is_set else here


def _slots(settings: Settings, workers: int) -> dict[str, str]:
    """Return the slots of this start; the next one may have others, so they are in no file."""
    return {
        "PRESAGIO_WORKER_SLOTS": str(settings.worker_slots),
        # The intake divides what waits by what can be filed at once.
        "PRESAGIO_INTAKE_SLOTS": str(_intake_slots(settings, workers)),
    }


def workers_env(
    settings: Settings, ports: Ports, credentials: Credentials, workers: int
) -> dict[str, str]:
    """Return what Airflow's parts are told otherwise than without workers."""
    stack = settings.model_copy(
        update={
            "broker_url": SecretStr(broker_url(ports, credentials.broker_password)),
            "s3_endpoint": ports.url("s3"),
            "s3_access_key": SecretStr(credentials.s3_access_key),
            "s3_secret_key": SecretStr(credentials.s3_secret_key),
        }
    )
    # As many tasks as there are slots, one of them for a training: none waits in a queue.
    parallelism = {"AIRFLOW__CORE__PARALLELISM": str(_intake_slots(settings, workers) + 1)}
    return celery_env(stack) | scheduler_env() | parallelism | _slots(settings, workers)


def workers_services(
    layout: Layout,
    ports: Ports,
    credentials: Credentials,
    env: Mapping[str, str],
    workers: int,
) -> list[Service]:
    """Return broker, pool and workers: some for the intake, and one that trains."""
    names = {f"{INTAKE}-{number}": INTAKE for number in range(1, workers + 1)} | {TRAIN: TRAIN}
    return [
        Service(
            name="broker",
            command=broker_command(layout, ports.broker, credentials.broker_password),
            check=answers_ping(ports.broker, USER, credentials.broker_password),
            address=f"127.0.0.1:{ports.broker}",
            port=ports.broker,
        ),
        Service(
            name="airflow-pool",
            command=(sibling("airflow"), "pools", "set", TRAIN, "1", "One training at a time."),
            env=env,
            needs=("airflow-db",),
        ),
        *(_worker(name, queue, layout, env) for name, queue in names.items()),
    ]


def _worker(name: str, queue: str, layout: Layout, airflow: Mapping[str, str]) -> Service:
    slots = {key: airflow[key] for key in ("PRESAGIO_WORKER_SLOTS", "PRESAGIO_INTAKE_SLOTS")}
    alive = layout.run / f"worker-{name}"
    return Service(
        name=f"airflow-worker-{name}",
        # The API server reads the log files itself: it is on this machine.
        command=(
            sys.executable, "-m", "presagio", "worker", "--queue", queue, "--name", name,
            "--alive", str(alive), "--no-serve-logs",
        ),
        # It makes the rest from the addresses of the stack; Airflow's database is not its business.
        env={"AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(layout.airflow / "logs"), **slots},
        needs=("broker", "airflow-apiserver", "airflow-pool"),
        check=beats(alive),
    )  # fmt: skip
