"""Airflow's and MLflow's databases of the stack without Docker: their commands remove what is old.

Tasks of a DAG may not speak to these databases, so it is done from here, where their passwords are.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from presagio.errors import StackError
from presagio.settings import Settings
from presagio.settings.private import reveal
from presagio.stack.credentials import load_credentials
from presagio.stack.layout import Layout
from presagio.stack.ports import Ports

_LIMIT_S = 3600.0
_SHOWN = 5


@dataclass(frozen=True)
class Cleaning:
    """A command that cleans a database, and what it needs in its environment.

    Attributes
    ----------
    name
        Whose database: ``airflow`` or ``mlflow``.
    """

    name: str
    command: Sequence[str]
    env: dict[str, str]


def _airflow(layout: Layout, url: str, days: int, *, dry_run: bool) -> Cleaning:
    before = datetime.now(UTC) - timedelta(days=days)
    command = [
        str(Path(sys.executable).with_name("airflow")), "db", "clean", "--yes",
        "--clean-before-timestamp", before.isoformat(timespec="seconds"), "--skip-archive",
        "--error-on-cleanup-failure", *(["--dry-run"] if dry_run else []),
    ]  # fmt: skip
    env = {
        "AIRFLOW_HOME": str(layout.airflow), "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": url,
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }  # fmt: skip
    return Cleaning("airflow", command, env)


def _mlflow(settings: Settings, url: str, days: int) -> Cleaning:
    # The password by variable: a command line can be read by everyone on the machine.
    address = urlsplit(url)
    store = address._replace(netloc=f"{address.username}@{address.hostname}:{address.port}")
    env = {
        "PGPASSWORD": address.password or "", "MLFLOW_TRACKING_URI": settings.mlflow_url,
        "AWS_ACCESS_KEY_ID": reveal(settings.s3_access_key, "PRESAGIO_S3_ACCESS_KEY"),
        "AWS_SECRET_ACCESS_KEY": reveal(settings.s3_secret_key, "PRESAGIO_S3_SECRET_KEY"),
        "MLFLOW_S3_ENDPOINT_URL": str(settings.s3_endpoint or ""),
        "AWS_DEFAULT_REGION": settings.s3_region,
    }  # fmt: skip
    command = [
        sys.executable, "-m", "mlflow", "gc", "--backend-store-uri", store.geturl(),
        "--older-than", f"{days}d0h0m0s",
    ]  # fmt: skip
    return Cleaning("mlflow", command, env)


def cleanings(settings: Settings, layout: Layout, *, dry_run: bool) -> list[Cleaning]:
    """Return what cleans the databases as the settings say; ``mlflow gc`` has no dry run.

    Raises
    ------
    StackError
        If the secrets of the stack are not whole.
    SettingsError
        If an address or a secret is not set.
    """
    port = urlsplit(reveal(settings.database_url, "PRESAGIO_DATABASE_URL")).port
    ports, credentials = Ports(postgres=port or Ports().postgres), load_credentials(layout)
    found = list[Cleaning]()
    if (days := settings.retain_airflow_days) is not None:
        url = credentials.database_url(ports, "airflow")
        found.append(_airflow(layout, url, days, dry_run=dry_run))
    if (days := settings.retain_mlflow_days) is not None and not dry_run:
        found.append(_mlflow(settings, credentials.database_url(ports, "mlflow"), days))
    return found


def clean(cleaning: Cleaning) -> None:
    """Clean a database.

    Raises
    ------
    StackError
        If the command fails; the message has the end of what it says.
    """
    done = subprocess.run(
        cleaning.command, env=os.environ | cleaning.env, capture_output=True, text=True,
        check=False, timeout=_LIMIT_S, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    if done.returncode:
        end = "\n".join(f"{done.stdout}\n{done.stderr}".strip().splitlines()[-_SHOWN:])
        raise StackError(f"{cleaning.name}'s database could not be cleaned:\n{end}")
