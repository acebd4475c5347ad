"""Airflow's and MLflow's databases are cleaned by their commands, with secrets in no argument."""

import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from presagio.errors import SettingsError, StorageError
from presagio.jobs.database_cleaning import Cleaning, clean, cleanings
from presagio.settings import Settings
from tests.conftest import RunningServices


@pytest.mark.integration
@pytest.mark.slow
def test_what_was_deleted_in_mlflow_is_gone_for_good_and_nothing_else(
    services: RunningServices,
) -> None:
    # Not by MLflow's client, which fails now and then where others change the environment.
    client = httpx.Client(base_url=f"{services.settings.mlflow_url}/api/2.0/mlflow", timeout=60)

    def post(path: str, **body: str) -> dict[str, Any]:
        return dict(client.post(path, json=body).raise_for_status().json())

    experiment = post("/experiments/create", name=f"cleaning-{time.time_ns()}")["experiment_id"]
    deleted, kept = (
        post("/runs/create", experiment_id=experiment)["run"]["info"]["run_id"] for _ in range(2)
    )
    post("/runs/delete", run_id=deleted)
    urls = {
        f"{name}_database_url": SecretStr(services.credentials.database_url(services.ports, name))
        for name in ("airflow", "mlflow")
    }
    days = {"retain_airflow_days": 30, "retain_mlflow_days": 1}
    settings = services.settings.model_copy(update=days | urls)
    (dry,) = cleanings(settings, dry_run=True)
    assert (dry.name, dry.command[-1]) == ("airflow", "--dry-run")
    airflow, mlflow = cleanings(settings, dry_run=False)
    assert "--dry-run" not in airflow.command
    secrets = vars(services.credentials).values()
    assert not any(secret in " ".join([*airflow.command, *mlflow.command]) for secret in secrets)
    # A start of MLflow's command takes seconds, so there is one.
    command = [part.replace("1d0h0m0s", "0d0h0m0s") for part in mlflow.command]
    clean(Cleaning("mlflow", command, mlflow.env))
    assert client.get("/runs/get", params={"run_id": deleted}).status_code == 404
    found = client.get("/runs/get", params={"run_id": kept}).raise_for_status().json()
    assert found["run"]["info"]["lifecycle_stage"] == "active"
    client.close()


def test_a_command_that_fails_says_why() -> None:
    with pytest.raises(StorageError, match="airflow's database could not be cleaned"):
        clean(Cleaning("airflow", ["false"], {}))


def test_a_database_without_an_address_is_not_passed_over(tmp_path: Path) -> None:
    settings = Settings.model_validate({"home": tmp_path, "retain_airflow_days": 30})
    with pytest.raises(SettingsError, match="PRESAGIO_AIRFLOW_DATABASE_URL is not set"):
        cleanings(settings, dry_run=True)
