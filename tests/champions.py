"""Champions that are there without being asked for: of ours, and of somebody else's."""

from pathlib import Path
from typing import Any

import mlflow
import pandas as pd

from presagio.machine.simulation import simulate
from presagio.machine.spec import MachineSpec
from presagio.registry.reader import open_reader
from presagio.registry.versions import RegisteredVersion
from presagio.registry.writer import Registry
from presagio.settings import Settings
from presagio.training.export.registration import register_model
from presagio.training.train import TrainedModel


def register_champion(model: TrainedModel, registry: Registry, folder: Path) -> RegisteredVersion:
    registered = register_model(model, registry, folder)
    registry.assign("champion", registered)
    return registered


def readings_with_target(spec: MachineSpec, rows: int) -> pd.DataFrame:
    """Return the spec's inputs and the target, as numbers: what a notebook trains on."""
    frame = next(iter(simulate(spec, rows, seed=3)))
    columns = (*spec.input_names, spec.target.name)
    return pd.DataFrame({name: frame[name].to_numpy().astype(float) for name in columns})


def fitted(rows: pd.DataFrame, model: Any) -> Any:
    return model.fit(rows.iloc[:, :-1], rows.iloc[:, -1].astype(bool))


def register_pipeline(
    settings: Settings, model: Any, rows: pd.DataFrame, **how: Any
) -> RegisteredVersion:
    """Register a pipeline as a notebook does, and make it champion."""
    mlflow.set_tracking_uri(settings.mlflow_url)
    mlflow.set_experiment(settings.experiment)
    inputs = rows.iloc[:5, :-1]
    how = {"signature": mlflow.models.infer_signature(inputs, model.predict(inputs))} | how
    with mlflow.start_run():
        mlflow.sklearn.log_model(
            model, name="model", registered_model_name=settings.model_name,
            pip_requirements=["scikit-learn"], **({"serialization_format": "skops"} | how),
        )  # fmt: skip
    client = mlflow.MlflowClient(settings.mlflow_url)
    versions = client.search_model_versions(f"name = '{settings.model_name}'")
    newest = str(max(int(found.version) for found in versions))
    client.set_registered_model_alias(settings.model_name, "champion", newest)
    return open_reader(settings).resolve()
