"""Airflow's and MLflow's databases: their commands remove what is old, where an address is given.

Airflow keeps its database from its tasks, and the ledger's role may speak to neither. Whoever runs
a plant gives these addresses to those who may clean, or to nobody.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote, urlsplit

from presagio.errors import StorageError
from presagio.jobs.retention import refuse_deleted_runs
from presagio.registry.reader import open_reader
from presagio.settings import Settings
from presagio.settings.private import reveal
from presagio.storage.fleets import read_fleets
from presagio.storage.objects import open_store

_LIMIT_S = 3600.0
_SHOWN = 5
# Rows that a transaction removes of a table.
_BATCH = 10_000


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


def _airflow(settings: Settings, days: int, *, dry_run: bool) -> Cleaning:
    before = datetime.now(UTC) - timedelta(days=days)
    url = reveal(settings.airflow_database_url, "PRESAGIO_AIRFLOW_DATABASE_URL")
    command = [
        sys.executable, "-m", "airflow", "db", "clean", "--yes", "--skip-archive",
        "--clean-before-timestamp", before.isoformat(timespec="seconds"),
        "--batch-size", str(_BATCH), "--error-on-cleanup-failure",
        *(["--dry-run"] if dry_run else []),
    ]  # fmt: skip
    env = {
        # In a task Airflow has put an address there that leads nowhere.
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": url,
        "AIRFLOW_HOME": str(settings.home / "airflow"), "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }  # fmt: skip
    return Cleaning("airflow", command, env)


def _mlflow(settings: Settings, days: int) -> Cleaning:
    # The password by variable: a command line can be read by everyone on the machine.
    address = urlsplit(reveal(settings.mlflow_database_url, "PRESAGIO_MLFLOW_DATABASE_URL"))
    user, _, where = address.netloc.rpartition("@")
    store = address._replace(netloc=f"{user.partition(':')[0]}@{where}")
    env = {
        "PGPASSWORD": unquote(address.password or ""), "MLFLOW_TRACKING_URI": settings.mlflow_url,
        "MLFLOW_S3_ENDPOINT_URL": str(settings.s3_endpoint or ""),
        "AWS_DEFAULT_REGION": settings.s3_region,
    }  # fmt: skip
    secrets = {
        "AWS_ACCESS_KEY_ID": settings.s3_access_key,
        "AWS_SECRET_ACCESS_KEY": settings.s3_secret_key,
        "MLFLOW_TRACKING_PASSWORD": settings.mlflow_password,
    }
    env |= {name: found.get_secret_value() for name, found in secrets.items() if found is not None}
    if settings.mlflow_username is not None:
        env["MLFLOW_TRACKING_USERNAME"] = settings.mlflow_username
    command = [
        sys.executable, "-m", "mlflow", "gc", "--backend-store-uri", store.geturl(),
        "--older-than", f"{days}d0h0m0s",
    ]  # fmt: skip
    return Cleaning("mlflow", command, env)


def cleanings(settings: Settings, *, dry_run: bool) -> list[Cleaning]:
    """Return what cleans the databases as the settings say; ``mlflow gc`` has no dry run.

    Raises
    ------
    SettingsError
        If a database is to be cleaned whose address is not set.
    """
    found = list[Cleaning]()
    if (days := settings.retain_airflow_days) is not None:
        found.append(_airflow(settings, days, dry_run=dry_run))
    if (days := settings.retain_mlflow_days) is not None and not dry_run:
        found.append(_mlflow(settings, days))
    return found


def clean(cleaning: Cleaning) -> str:
    """Clean a database, and return what the command says.

    Raises
    ------
    StorageError
        If the command fails; the message has the end of what it says.
    """
    done = subprocess.run(
        cleaning.command, env=os.environ | cleaning.env, capture_output=True, text=True,
        check=False, timeout=_LIMIT_S, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    output = f"{done.stdout}\n{done.stderr}".strip()
    if done.returncode:
        end = "\n".join(output.splitlines()[-_SHOWN:])
        raise StorageError(f"{cleaning.name}'s database could not be cleaned:\n{end}")
    return output


def clean_databases(settings: Settings, *, dry_run: bool) -> dict[str, str]:
    """Clean the databases as the settings say.

    Parameters
    ----------
    settings
        Of the deployment: the databases are those of all fleets.
    dry_run
        Whether only to count; MLflow's is left out then.

    Returns
    -------
    dict
        By whose database it is, what the command says.

    Raises
    ------
    SettingsError
        If a database is to be cleaned whose address is not set.
    DataError
        If somebody has deleted the run of a model in use: it would be gone for good.
    RegistryError, StorageError
        If MLflow or the store do not answer, or a command fails.
    """
    found = dict[str, str]()
    for one in cleanings(settings, dry_run=dry_run):
        if one.name == "mlflow":
            for fleet in read_fleets(settings, open_store(settings)).by_name.values():
                refuse_deleted_runs(open_reader(fleet.settings))
        found[one.name] = clean(one)
    return found
