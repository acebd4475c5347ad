"""Which services a stack has, in what order they start, and how each is run and watched."""

import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from presagio.deployment.health import airflow_component, answers
from presagio.errors import StackError
from presagio.settings import Settings
from presagio.stack.credentials import (
    AIRFLOW_USER,
    CLEANED,
    Credentials,
    write_addresses,
    write_airflow_passwords,
)
from presagio.stack.layout import Layout
from presagio.stack.ports import Ports
from presagio.stack.postgres import accepts_connections, server_account, server_command
from presagio.stack.service import Service, sibling
from presagio.stack.workers import workers_addresses, workers_env, workers_services

_AIRFLOW_NEEDS = ("airflow-db", "buckets")
# Name in Airflow's own health, and what has to be there. Tasks speak to the API server; the other
# parts need the database alone, and start beside it.
_AIRFLOW_PARTS = {
    "airflow-scheduler": ("scheduler", ("airflow-apiserver",)),
    "airflow-dag-processor": ("dag_processor", _AIRFLOW_NEEDS),
    "airflow-triggerer": ("triggerer", _AIRFLOW_NEEDS),
}


def _dags_folder(settings: Settings) -> Path:
    folder = settings.dags_folder.resolve()
    if not folder.is_dir():
        raise StackError(f"no DAG files in {folder}; name their folder with PRESAGIO_DAGS_FOLDER")
    return folder


def _airflow_env(
    settings: Settings, layout: Layout, ports: Ports, credentials: Credentials
) -> dict[str, str]:
    values = {
        "CORE__EXECUTOR": "LocalExecutor",
        # Each idle worker of the LocalExecutor holds 140 MB.
        "CORE__PARALLELISM": str(settings.intake_slots),
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__DAGS_FOLDER": str(_dags_folder(settings)),
        "CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "CORE__EXECUTION_API_SERVER_URL": f"{ports.url('airflow')}/execution/",
        "CORE__FERNET_KEY": credentials.airflow_fernet_key,
        # For development on one machine; compose gets a real one.
        "CORE__SIMPLE_AUTH_MANAGER_USERS": f"{AIRFLOW_USER}:admin",
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(layout.airflow / "passwords.json"),
        "DATABASE__SQL_ALCHEMY_CONN": credentials.database_url(ports, "airflow"),
        # Each idle connection is a PostgreSQL process of 20 MB, and there would be a dozen.
        "DATABASE__SQL_ALCHEMY_POOL_ENABLED": "False",
        "API__HOST": "127.0.0.1",
        "API__PORT": str(ports.airflow),
        "API__BASE_URL": ports.url("airflow"),
        "API__WORKERS": "1",
        "API__SECRET_KEY": credentials.airflow_api_secret,
        "API_AUTH__JWT_SECRET": credentials.airflow_jwt_secret,
        "LOGGING__BASE_LOG_FOLDER": str(layout.airflow / "logs"),
        "DAG_PROCESSOR__PARSING_PROCESSES": "1",
        "TRIGGERER__CAPACITY": "100",
        # A task whose scheduler was killed is taken up again within a minute or so, not in five.
        "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "30",
        "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "60",
        "USAGE_DATA_COLLECTION__ENABLED": "False",
    }
    return {f"AIRFLOW__{key}": value for key, value in values.items()} | {
        "AIRFLOW_HOME": str(layout.airflow)
    }


def _storage_services(layout: Layout, ports: Ports, credentials: Credentials) -> list[Service]:
    provision = (sys.executable, "-m", "presagio.deployment.provision")
    return [
        Service(
            name="postgres",
            command=server_command(layout, ports.postgres),
            check=accepts_connections(ports.postgres),
            address=f"127.0.0.1:{ports.postgres}",
            port=ports.postgres,
            stop_signal=signal.SIGINT,  # PostgreSQL's fast shutdown
            account=server_account(),
        ),
        Service(
            name="s3",
            command=(
                sibling("rclone"), "serve", "s3", "--addr", f"127.0.0.1:{ports.s3}",
                "--config", "", "--cache-dir", str(layout.run / "rclone"), str(layout.objects),
            ),
            # By variable: a command line can be read by everyone on the machine.
            env={"RCLONE_AUTH_KEY": f'"{credentials.s3_access_key},{credentials.s3_secret_key}"'},
            check=answers(ports.s3, "/", below=500),  # it refuses, since the request is not signed
            address=ports.url("s3"),
            port=ports.s3,
        ),
        Service(
            name="databases",
            command=(*provision, "databases"),
            needs=("postgres",),
            env={
                "PRESAGIO_POSTGRES_PORT": str(ports.postgres), **credentials.database_variables(),
            },
        ),
        Service(name="buckets", command=(*provision, "buckets"), needs=("s3",)),
    ]  # fmt: skip


def _model_services(ports: Ports, credentials: Credentials) -> list[Service]:
    return [
        Service(
            name="mlflow",
            command=(
                sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1",
                "--port", str(ports.mlflow), "--workers", "1",
                "--artifacts-destination", "s3://mlflow",
            ),
            env={
                "MLFLOW_BACKEND_STORE_URI": credentials.database_url(ports, "mlflow"),
                "MLFLOW_S3_ENDPOINT_URL": ports.url("s3"),
                "AWS_ACCESS_KEY_ID": credentials.s3_access_key,
                "AWS_SECRET_ACCESS_KEY": credentials.s3_secret_key,
                "AWS_DEFAULT_REGION": "us-east-1",
                "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
                "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
                # Six job consumers of 260 MB each, for features that are not used here.
                "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
                # Its webhook wakes the API, which is on this machine.
                "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http,https",
                "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
                "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": credentials.mlflow_webhook_key,
                "MLFLOW_WEBHOOK_REQUEST_TIMEOUT": "5",
                # An event is not sent again, so who wants it is looked up for each.
                "MLFLOW_WEBHOOK_CACHE_TTL": "0",
                "MLFLOW_SQLALCHEMYSTORE_POOLCLASS": "NullPool",
                "MLFLOW_DISABLE_TELEMETRY": "true",
                "GIT_PYTHON_REFRESH": "quiet",
            },
            needs=("databases", "buckets"),
            check=answers(ports.mlflow, "/health"),
            address=ports.url("mlflow"),
            port=ports.mlflow,
        ),
        Service(
            name="webhook",
            command=(sys.executable, "-m", "presagio.deployment.provision", "webhook"),
            needs=("mlflow",),
        ),
        Service(
            name="champion",
            command=(sys.executable, "-m", "presagio", "train", "--unless-champion", "--json"),
            needs=("mlflow",),
        ),
        Service(
            name="api",
            command=(
                sys.executable, "-m", "presagio", "serve", "--port", str(ports.api),
            ),
            needs=("champion",),
            check=answers(ports.api, "/health/ready"),
            address=ports.url("api"),
            port=ports.api,
        ),
        Service(
            name="console",
            command=(
                sys.executable, "-m", "presagio", "console", "--port", str(ports.console),
            ),
            needs=("databases", "buckets"),
            check=answers(ports.console, "/health/ready"),
            address=ports.url("console"),
            port=ports.console,
        ),
    ]  # fmt: skip


def _airflow_services(env: Mapping[str, str], ports: Ports) -> list[Service]:
    airflow = sibling("airflow")
    triggerer = (sys.executable, "-m", "presagio.orchestration.triggerer")
    # The API server reads the log files itself: all parts are on one machine.
    commands = {
        "scheduler": (airflow, "scheduler", "--skip-serve-logs"),
        "dag_processor": (airflow, "dag-processor"),
        "triggerer": (*triggerer, "--skip-serve-logs"),
    }
    parts = [
        Service(
            name=name,
            command=commands[component],
            env=env,
            needs=needs,
            check=airflow_component(ports.airflow, component),
        )
        for name, (component, needs) in _AIRFLOW_PARTS.items()
    ]
    return [
        Service(
            name="airflow-db",
            command=(airflow, "db", "migrate"),
            env=env,
            needs=("databases",),
        ),
        Service(
            name="airflow-apiserver",
            command=(airflow, "api-server"),
            env=env,
            needs=_AIRFLOW_NEEDS,
            check=answers(ports.airflow, "/api/v2/version"),
            address=ports.url("airflow"),
            port=ports.airflow,
        ),
        *parts,
    ]


def build_services(
    settings: Settings,
    layout: Layout,
    ports: Ports,
    credentials: Credentials,
    *,
    workers: int = 0,
) -> list[Service]:
    """Write the files that the services read, and say which services there are, in order.

    Every service also gets the addresses and secrets that Presagio's own settings name.

    Parameters
    ----------
    workers
        Celery workers that file and watch, beside one that trains; with none of them, the
        scheduler runs all tasks (LocalExecutor).
    """
    more = workers_addresses(ports, credentials) if workers else {}
    addresses = write_addresses(layout, ports, credentials, settings, more)
    # What cleans them reads the file: no service needs the databases of others in its environment.
    shared = os.environ | {k: v for k, v in addresses.items() if k not in CLEANED}
    shared |= {
        "PRESAGIO_S3_ACCESS_KEY": credentials.s3_access_key,
        "PRESAGIO_S3_SECRET_KEY": credentials.s3_secret_key,
        "PYTHONUNBUFFERED": "1",
        # glibc's default of 8 arenas a core costs threaded services memory that they never use.
        "MALLOC_ARENA_MAX": "2",
        "MALLOC_TRIM_THRESHOLD_": "131072",
    }
    if settings.ai4i_csv is not None:
        shared["PRESAGIO_AI4I_CSV"] = str(settings.ai4i_csv.resolve())
    write_airflow_passwords(layout, credentials)
    airflow = _airflow_env(settings, layout, ports, credentials)
    services = _storage_services(layout, ports, credentials)
    if workers:
        airflow |= workers_env(settings, ports, credentials, workers)
        services += workers_services(layout, ports, credentials, airflow, workers)
    services += [*_airflow_services(airflow, ports), *_model_services(ports, credentials)]
    return [replace(service, env={**shared, **service.env}) for service in services]
