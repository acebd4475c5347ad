"""Write the registry: log a training, register its model, point an alias at it.

MLflow's own client takes its time-outs from the environment and retries for minutes;
:func:`open_registry` bounds it.
"""

import logging
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.environment_variables import (
    MLFLOW_HTTP_REQUEST_MAX_RETRIES,
    MLFLOW_HTTP_REQUEST_TIMEOUT,
    MLFLOW_TRACKING_PASSWORD,
    MLFLOW_TRACKING_USERNAME,
)
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_ALREADY_EXISTS, ErrorCode

from presagio.errors import RegistryError
from presagio.registry.inputs import LoggedDataset
from presagio.registry.links import artifact_page, run_page
from presagio.registry.reader import RegistryReader
from presagio.registry.versions import (
    ARTIFACT,
    CARD,
    DIGEST_TAG,
    GATE_TAG,
    TRUSTED_TYPES,
    Alias,
    GateOutcome,
    RegisteredVersion,
)
from presagio.settings import Settings

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray
    from sklearn.base import BaseEstimator

_LONGEST_TAG = 4000
_EXISTS = ErrorCode.Name(RESOURCE_ALREADY_EXISTS)
_PIP_REQUIREMENTS = ["presagio", "scikit-learn", "skops", "pandas"]
_REPORT = "report"
# What people write into the description of a registered model stays.
_OURS = "*Written by Presagio at each training. Write your text without this line, and it stays.*"
# By it MLflow's pages of an experiment open in their view for model training.
_EXPERIMENT_KIND = ("mlflow.experimentKind", "custom_model_development")


@dataclass(frozen=True)
class LoggedCandidate:
    """One candidate of a search, which becomes a nested run called ``name``."""

    name: str
    parameters: Mapping[str, Any]
    metrics: Mapping[str, float]
    kind: Literal["candidate", "baseline"] = "candidate"


@dataclass(frozen=True)
class TrainingRecord:
    """Everything about a training that is logged and registered.

    Attributes
    ----------
    title
        What was trained, in a few words: the run is called so, after the version that it makes.
    description
        The same at length, as Markdown, for the pages of run and version.
    about
        What the registered model is for, as Markdown.
    datasets
        What it learned from, and last what its metrics were measured on.
    input_example, output_example
        Rows that the estimator takes, and what it returns for them, shape ``(n,)``: the signature.
        All columns are doubles: gaps turn integer and boolean ones into floats at inference.
    """

    parameters: Mapping[str, Any]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    candidates: tuple[LoggedCandidate, ...]
    attachments: tuple[Path, ...]
    artifact: Path
    tables: tuple[Path, ...]
    digest: str
    estimator: "BaseEstimator"
    input_example: "pd.DataFrame"
    output_example: "NDArray[np.bool_]"
    title: str = "training"
    description: str = ""
    about: str = ""
    datasets: tuple[LoggedDataset, ...] = ()


@contextmanager
def _translated(action: str) -> Iterator[None]:
    try:
        yield
    except MlflowException as err:
        raise RegistryError(
            f"MLflow cannot {action} ({err.error_code}): {err.message}; check PRESAGIO_MLFLOW_URL "
            "and that the server is up"
        ) from err
    except OSError as err:
        # What the HTTP library raises, and a full disk.
        raise RegistryError(f"MLflow cannot {action}: {err}; check the server and S3") from err


class Registry(RegistryReader):
    """A registered model in MLflow, to write; failures are :class:`RegistryError`."""

    def __init__(
        self, url: str, experiment: str, model_name: str, *, timeout_s: float,
        account: tuple[str, str] | None, download_s: float, download_bytes: int,
    ) -> None:  # fmt: skip
        super().__init__(
            url, model_name, timeout_s=timeout_s, account=account, download_s=download_s,
            download_bytes=download_bytes,
        )  # fmt: skip
        self._client = MlflowClient(tracking_uri=url, registry_uri=url)
        self._url, self._experiment = url, experiment

    def ensure_model(self) -> None:
        """Create the registered model where it is not there yet.

        MLflow with accounts refuses a name that it does not know to all but its admin: of a fleet
        that was added, nobody could ask for a champion before the first training.
        """
        with _translated(f"create the registered model {self._name}"):
            self._ensure_registered_model()

    def describe(self, version: RegisteredVersion, text: str) -> None:
        """Write Markdown beside a version, where MLflow's pages show it."""
        with _translated(f"describe {version.name} version {version.version}"):
            self._client.update_model_version(version.name, version.version, text)

    def description(self, version: RegisteredVersion) -> str:
        """Return what is written beside a version."""
        with _translated(f"read about {version.name} version {version.version}"):
            found = self._client.get_model_version(version.name, version.version)
        return found.description or ""

    def log_report(
        self, name: str, metrics: Mapping[str, float], tags: Mapping[str, str],
        attachments: tuple[Path, ...],
    ) -> str:  # fmt: skip
        """Log a report on a model in service as a run of an experiment of its own; return its id.

        The experiment is named after the one of trainings, with ``_monitoring`` behind.
        """
        with _translated(f"log {name}"):
            wanted = f"{self._experiment}_monitoring"
            found, kind = self._client.get_experiment_by_name(wanted), dict([_EXPERIMENT_KIND])
            experiment = (
                found.experiment_id if found else self._client.create_experiment(wanted, tags=kind)
            )
            run = self._client.create_run(experiment, tags=dict(tags), run_name=name)
            now = run.info.start_time
            self._client.log_batch(
                run.info.run_id, metrics=[Metric(k, v, now, 0) for k, v in metrics.items()]
            )
            for attachment in attachments:
                self._client.log_artifact(run.info.run_id, str(attachment))
            self._client.set_terminated(run.info.run_id)
        return str(run.info.run_id)

    def log_decision(
        self, version: RegisteredVersion, outcome: GateOutcome, *, who: str, why: str
    ) -> None:
        """Write what the gate decided beside a version, or who overruled it."""
        tags = {"": outcome, "_who": who, "_why": why}
        with _translated(f"mark {version.name} version {version.version}"):
            for part, value in tags.items():
                self._client.set_model_version_tag(
                    version.name, version.version, GATE_TAG + part, value[:_LONGEST_TAG]
                )

    def assign(self, alias: Alias, version: RegisteredVersion) -> None:
        """Point an alias at a version."""
        with _translated(f"set {version.name}@{alias}"):
            self._client.set_registered_model_alias(version.name, alias, version.version)

    def register(self, record: TrainingRecord) -> RegisteredVersion:
        """Log a training as a run with nested runs, and register its model.

        Returns
        -------
        RegisteredVersion
            The new version; it has no alias yet.
        """
        mlflow.set_tracking_uri(self._url)
        with _translated("log the training"):
            experiment = self._ready_experiment()
            with mlflow.start_run(
                experiment_id=experiment, run_name=record.title, tags=dict(record.tags)
            ) as run:
                run_id = run.info.run_id
                if record.datasets:
                    self._client.log_inputs(run_id, [each.as_input() for each in record.datasets])
                mlflow.log_params(dict(record.parameters))
                for candidate in record.candidates:
                    self._log_nested(experiment, run_id, candidate)
                for attachment in record.attachments:
                    mlflow.log_artifact(str(attachment), _REPORT)
                mlflow.log_artifacts(str(record.artifact), ARTIFACT)
                for table in record.tables:
                    mlflow.log_artifact(str(table), table.stem)
                model_id, version = self._log_estimator(record, run_id)
                self._log_metrics(record, run_id, model_id)
            self._client.set_model_version_tag(self._name, version, DIGEST_TAG, record.digest)
            registered = RegisteredVersion(self._name, version, run_id, record.digest)
            self._present(record, registered, experiment)
        return registered

    def _ready_experiment(self) -> str:
        experiment = mlflow.set_experiment(self._experiment)
        key, kind = _EXPERIMENT_KIND
        if key not in experiment.tags:
            self._client.set_experiment_tag(experiment.experiment_id, key, kind)
        return str(experiment.experiment_id)

    def _log_metrics(self, record: TrainingRecord, run_id: str, model_id: str | None) -> None:
        """Log metrics of the run, of its model and of the rows that they were measured on."""
        on = record.datasets[-1] if record.datasets and model_id is not None else None
        now = int(time.time() * 1000)
        metrics = [
            Metric(
                key, value, now, 0, model_id=model_id,
                dataset_name=None if on is None else on.name,
                dataset_digest=None if on is None else on.digest,
            )
            for key, value in record.metrics.items()
        ]  # fmt: skip
        self._client.log_batch(run_id, metrics=metrics)

    def _present(self, record: TrainingRecord, made: RegisteredVersion, experiment: str) -> None:
        """Name a run after the version that it has made; describe both, and their model."""
        self._client.update_run(made.run_id, name=f"{made.name} {made.version}: {record.title}")
        links = [f"[run]({run_page(experiment, made.run_id)})"]
        if any(attachment.name == CARD for attachment in record.attachments):
            card = artifact_page(experiment, made.run_id, f"{_REPORT}/{CARD}")
            links.insert(0, f"[model card]({card})")
        text = "\n".join(part for part in (record.description, f"- See {', '.join(links)}") if part)
        self.describe(made, text)
        self._client.set_tag(made.run_id, "mlflow.note.content", text)
        written = self._client.get_registered_model(made.name).description
        if record.about and (not written or _OURS in written):
            self._client.update_registered_model(made.name, f"{record.about}\n\n{_OURS}")

    def _log_nested(self, experiment: str, parent: str, candidate: LoggedCandidate) -> None:
        run = self._client.create_run(
            experiment, tags={"mlflow.parentRunId": parent}, run_name=candidate.name
        )
        now = run.info.start_time
        self._client.log_batch(
            run.info.run_id,
            metrics=[Metric(key, value, now, 0) for key, value in candidate.metrics.items()],
            params=[Param(key, str(value)) for key, value in candidate.parameters.items()],
            tags=[RunTag("presagio.kind", candidate.kind)],
        )
        self._client.set_terminated(run.info.run_id)

    def _log_estimator(self, record: TrainingRecord, run_id: str) -> tuple[str | None, str]:
        logged = mlflow.sklearn.log_model(
            record.estimator,
            name="model",
            serialization_format="skops",
            signature=mlflow.models.infer_signature(record.input_example, record.output_example),
            input_example=record.input_example,
            pip_requirements=_PIP_REQUIREMENTS,
            skops_trusted_types=list(TRUSTED_TYPES),
        )
        self._ensure_registered_model()
        # Not by log_model itself, which prints what it does among the output of our commands.
        version = self._client.create_model_version(
            self._name, logged.model_uri, run_id, model_id=logged.model_id
        )
        return logged.model_id, str(version.version)

    def _ensure_registered_model(self) -> None:
        try:
            self._client.create_registered_model(self._name)
        except MlflowException as err:
            if err.error_code != _EXISTS:
                raise


def open_registry(settings: Settings) -> Registry:
    """Open the registry that the settings name; nothing is asked of it yet."""
    MLFLOW_HTTP_REQUEST_TIMEOUT.set(settings.mlflow_timeout_s)
    MLFLOW_HTTP_REQUEST_MAX_RETRIES.set(1)
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    # A line a candidate would drown what the command itself has to say.
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    if settings.mlflow_account is not None:
        # MLflow's client takes them from nowhere else.
        name, password = settings.mlflow_account
        MLFLOW_TRACKING_USERNAME.set(name)
        MLFLOW_TRACKING_PASSWORD.set(password)
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    return Registry(
        settings.mlflow_url,
        settings.experiment,
        settings.model_name,
        timeout_s=settings.mlflow_timeout_s,
        account=settings.mlflow_account,
        download_s=settings.mlflow_download_s,
        download_bytes=settings.mlflow_download_bytes,
    )
