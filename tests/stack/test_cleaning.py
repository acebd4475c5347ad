"""Airflow's and MLflow's databases are cleaned by their commands, with secrets in no argument."""

import time

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from presagio.errors import StackError
from presagio.stack.cleaning import Cleaning, clean, cleanings
from tests.conftest import RunningServices


@pytest.mark.integration
@pytest.mark.slow
def test_what_was_deleted_in_mlflow_is_gone_for_good_and_nothing_else(
    services: RunningServices,
) -> None:
    client = MlflowClient(services.settings.mlflow_url)
    experiment = client.create_experiment(f"cleaning-{time.time_ns()}")
    deleted, kept = (client.create_run(experiment).info.run_id for _ in range(2))
    client.delete_run(deleted)
    days = {"retain_airflow_days": 30, "retain_mlflow_days": 1}
    settings = services.settings.model_copy(update=days)
    (dry,) = cleanings(settings, services.layout, dry_run=True)
    assert (dry.name, dry.command[-1]) == ("airflow", "--dry-run")
    airflow, mlflow = cleanings(settings, services.layout, dry_run=False)
    assert "--dry-run" not in airflow.command
    secrets = vars(services.credentials).values()
    assert not any(secret in " ".join([*airflow.command, *mlflow.command]) for secret in secrets)
    # A start of MLflow's command takes seconds, so there is one.
    command = [part.replace("1d0h0m0s", "0d0h0m0s") for part in mlflow.command]
    clean(Cleaning("mlflow", command, mlflow.env))
    with pytest.raises(MlflowException, match="not found"):
        client.get_run(deleted)
    assert client.get_run(kept).info.lifecycle_stage == "active"


def test_a_command_that_fails_says_why() -> None:
    with pytest.raises(StackError, match="airflow's database could not be cleaned"):
        clean(Cleaning("airflow", ["false"], {}))
