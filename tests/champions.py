"""Champions that are there without being asked for: of ours, and of somebody else's."""

import copy
import shutil
import tempfile
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd

from presagio.machine.simulation import simulate
from presagio.machine.spec import MachineSpec
from presagio.registry.reader import open_reader
from presagio.registry.versions import DATA_TAG, NEWEST_RECEIPT_TAG, RegisteredVersion
from presagio.registry.writer import Registry, TrainingRecord
from presagio.settings import Settings
from presagio.training.export.parity import export_model
from presagio.training.export.report import write_tables
from presagio.training.train import TrainedModel


class _Quick(Registry):
    """Registers what programs use of a version, and not what only people look at.

    Without the candidates, the pictures and the scikit-learn copy, that takes a tenth of the time;
    ``tests/registry/test_writer.py`` has the whole.
    """

    def _log_estimator(
        self,
        record: TrainingRecord,  # noqa: ARG002
        run_id: str,
    ) -> tuple[str | None, str]:
        self._ensure_registered_model()
        source = self._client.get_run(run_id).info.artifact_uri
        return None, str(self._client.create_model_version(self._name, source, run_id).version)

    def _present(self, record: TrainingRecord, made: RegisteredVersion, experiment: str) -> None:
        """Leave out what only people read."""


class _Exported:
    """The artifact of a trained model, exported once in each process of tests."""

    def __init__(self, model: TrainedModel) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="presagio-test-")
        self.path = Path(self._folder.name) / "artifact"
        self.digest = export_model(model, self.path)
        self.tables = write_tables(model, Path(self._folder.name))


# By the identity of the model, which is kept alive with it.
_EXPORTED: dict[int, tuple[TrainedModel, _Exported]] = {}


def register_version(model: TrainedModel, registry: Registry, folder: Path) -> RegisteredVersion:
    """Register a version as challenger, with what programs use of it."""
    if id(model) not in _EXPORTED:
        _EXPORTED[id(model)] = model, _Exported(model)
    exported = _EXPORTED[id(model)][1]
    # A copy: what a test changes is its own.
    artifact = folder / "artifact"
    shutil.copytree(exported.path, artifact)
    quick = copy.copy(registry)
    quick.__class__ = _Quick
    inputs = pd.DataFrame(model.split.train.inputs[:1], columns=[*model.spec.model_inputs])
    evaluation, receipts = model.evaluation, model.dataset.receipts
    registered = quick.register(
        TrainingRecord(
            parameters={"shape": model.result.shape},
            metrics=evaluation.test.as_metrics("test") | {"test_cost_per_1000": evaluation.cost},
            tags={
                DATA_TAG: model.dataset.sha256,
                NEWEST_RECEIPT_TAG: str(max(receipts, default="")),
            },
            candidates=(), attachments=(), artifact=artifact, tables=exported.tables,
            digest=exported.digest, estimator=model.result.alarm, input_example=inputs,
            output_example=model.result.alarm.predict(inputs),
        )
    )  # fmt: skip
    registry.assign("challenger", registered)
    return registered


def register_champion(model: TrainedModel, registry: Registry, folder: Path) -> RegisteredVersion:
    registered = register_version(model, registry, folder)
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
