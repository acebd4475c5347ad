"""The command that runs a worker of Airflow, on this host or on one that joins."""

import os
import socket
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from presagio.cli.composition import Parts
from presagio.cli.output import Home
from presagio.errors import SettingsError
from presagio.orchestration.celery_settings import celery_env
from presagio.orchestration.queues import INTAKE, TRAIN
from presagio.settings import Settings
from presagio.settings.private import reveal

_LOG_PORT = 8793


def _environment(
    settings: Settings, logs: Path, log_port: int, *, serve_logs: bool
) -> dict[str, str]:
    """Return what Airflow is told here; what the environment names already stays."""
    home = settings.home / "airflow"
    values = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(settings.dags_folder.resolve()),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{settings.airflow_url}/execution/",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(logs),
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(log_port),
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    }
    if serve_logs:
        values["AIRFLOW__API__SECRET_KEY"] = reveal(
            settings.airflow_api_secret, "PRESAGIO_AIRFLOW_API_SECRET"
        )
    # Read from here by tasks too, whose processes do not see this command's options.
    return {**values, **celery_env(settings), **os.environ}


def _check_installed() -> None:
    if find_spec("celery") is None:
        raise SettingsError("Celery is not installed; install presagio[train,workers]")


def worker(
    queue: Annotated[
        str, typer.Option("--queue", "-q", help="What it runs: intake or train.")
    ] = INTAKE,
    slots: Annotated[
        int | None,
        typer.Option(
            help="Tasks at a time.", min=1, max=64, show_default="PRESAGIO_WORKER_SLOTS; 1 of train"
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="Its name, another for each worker.", show_default="queue and host"),
    ] = None,
    serve_logs: Annotated[
        bool,
        typer.Option(
            help="Serve logs of running tasks to Airflow's pages, on --log-port. Logs of tasks "
            "that have ended are in the data bucket either way."
        ),
    ] = True,
    log_port: Annotated[
        int, typer.Option(help="Port for logs of running tasks.", min=1, max=65535)
    ] = _LOG_PORT,
    alive: Annotated[
        Path | None,
        typer.Option(
            help="File that is touched while the worker is well.",
            show_default="run/worker-NAME in the home folder",
        ),
    ] = None,
    home: Home = None,
) -> None:
    """Run tasks of Airflow on this host until Ctrl-C; `presagio up --workers` does so here.

    It takes tasks from PRESAGIO_BROKER_URL and speaks to PRESAGIO_AIRFLOW_URL, the ledger, S3,
    MLflow and the API. docs/workers.md tells what a second host needs.
    """
    settings = Parts(home).settings
    if queue not in (INTAKE, TRAIN):
        raise typer.BadParameter(f"there are {INTAKE} and {TRAIN}", param_hint="--queue")
    name = name or f"{queue}-{socket.gethostname()}"
    if not name.replace("-", "").replace(".", "").replace("_", "").isalnum():
        raise typer.BadParameter("letters, digits, '-', '.' and '_'", param_hint="--name")
    slots = slots or (settings.worker_slots if queue == INTAKE else 1)
    alive = alive or settings.home / "run" / f"worker-{name}"
    logs = settings.home / "airflow" / "worker-logs" / name
    env = _environment(settings, logs, log_port, serve_logs=serve_logs)
    _check_installed()
    for folder in (alive.parent, Path(env["AIRFLOW__LOGGING__BASE_LOG_FOLDER"])):
        folder.mkdir(parents=True, exist_ok=True)
    # Logs that are served are this worker's alone; others are the API server's too.
    arguments = [str(alive), env["AIRFLOW__LOGGING__BASE_LOG_FOLDER"] if serve_logs else ""]
    arguments += ["--queues", queue, "--concurrency", str(slots), "--celery-hostname", name]
    arguments += [
        "--without-mingle",
        "--without-gossip",
        *([] if serve_logs else ["--skip-serve-logs"]),
    ]
    command = [sys.executable, "-m", "presagio.orchestration.worker", *arguments]
    os.execve(command[0], command, env)  # noqa: S606 - no shell; signals go to the worker itself
