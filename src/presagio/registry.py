"""The model registry: log a training, resolve an alias to a version, fetch, promote.

The only module besides ``training`` that speaks to MLflow. MLflow's own client takes its time-outs
from the environment and retries for minutes; :func:`open_registry` bounds it.
"""

import logging
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.entities.model_registry import ModelVersion
from mlflow.environment_variables import (
    MLFLOW_HTTP_REQUEST_MAX_RETRIES,
    MLFLOW_HTTP_REQUEST_TIMEOUT,
)
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import (
    RESOURCE_ALREADY_EXISTS,
    RESOURCE_DOES_NOT_EXIST,
    ErrorCode,
)

from presagio.errors import NoChampionError, RegistryError
from presagio.settings import Settings

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.base import BaseEstimator

Alias = Literal["champion", "challenger"]
_ARTIFACT_PATH = "artifact"
# Tables beside a version: what the gate judges it by, and what drift is told from.
HOLDOUT = "holdout"
REFERENCE = "reference"
_DIGEST_TAG = "presagio.artifact_sha256"
DATA_TAG = "presagio.data_sha256"
# The highest id among the receipts that a version was trained on.
NEWEST_RECEIPT_TAG = "presagio.newest_receipt"
_LONGEST_TAG = 4000
_NOT_FOUND = ErrorCode.Name(RESOURCE_DOES_NOT_EXIST)
_EXISTS = ErrorCode.Name(RESOURCE_ALREADY_EXISTS)
_BAD_ALIAS = "INVALID_PARAMETER_VALUE"  # what MLflow says of an alias that no version carries
_PIP_REQUIREMENTS = ["presagio", "scikit-learn", "skops", "pandas"]
# What a scikit-learn copy of a model may be made of besides what skops itself trusts.
TRUSTED_TYPES = (
    "presagio.training.alarm.DetectorPlan",
    "presagio.training.alarm.FailureAlarm",
    "presagio.training.features.FeatureSet",
    "presagio.training.features.SpecFeatures",
    "presagio.training.features.Squash",
)


@dataclass(frozen=True)
class RegisteredVersion:
    """One version of a registered model; ``digest`` is its serving artifact's."""

    name: str
    version: str
    run_id: str
    digest: str | None


@dataclass(frozen=True)
class LoggedCandidate:
    """One candidate of a search, which becomes a nested run."""

    parameters: Mapping[str, Any]
    metrics: Mapping[str, float]
    kind: Literal["candidate", "baseline"] = "candidate"


@dataclass(frozen=True)
class TrainingRecord:
    """Everything about a training that is logged and registered."""

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


@dataclass(frozen=True)
class ListedVersion:
    """A version with what a list of versions shows: aliases, figures and tags of its run."""

    version: RegisteredVersion
    aliases: tuple[str, ...]
    created_at: datetime
    metrics: Mapping[str, float]
    tags: Mapping[str, str]


def _registered(found: ModelVersion) -> RegisteredVersion:
    return RegisteredVersion(
        found.name, str(found.version), found.run_id or "", found.tags.get(_DIGEST_TAG)
    )


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


class Registry:
    """A registered model in MLflow; failures are :class:`RegistryError`."""

    def __init__(self, url: str, experiment: str, model_name: str) -> None:
        self._client = MlflowClient(tracking_uri=url, registry_uri=url)
        self._url, self._experiment, self._name = url, experiment, model_name

    @property
    def name(self) -> str:
        """Name of the registered model."""
        return self._name

    def resolve(self, alias: Alias = "champion") -> RegisteredVersion:
        """Return the version that an alias names now.

        Raises
        ------
        NoChampionError
            If MLflow answers that no version carries the alias.
        RegistryError
            If MLflow does not answer.
        """
        with _translated(f"look up {self._name}@{alias}"):
            try:
                found = self._client.get_model_version_by_alias(self._name, alias)
            except MlflowException as err:
                if err.error_code in {_NOT_FOUND, _BAD_ALIAS}:
                    raise NoChampionError(
                        f"no version of {self._name} has the alias {alias}; "
                        "train one: presagio train"
                    ) from err
                raise
        return _registered(found)

    def version(self, number: str) -> RegisteredVersion:
        """Return a version by its number.

        Raises
        ------
        RegistryError
            If there is none of that number, or MLflow does not answer.
        """
        with _translated(f"look up {self._name} version {number}"):
            return _registered(self._client.get_model_version(self._name, number))

    def listing(self, *, limit: int = 20) -> list[ListedVersion]:
        """Return the newest versions with their aliases and figures."""
        with _translated(f"list the versions of {self._name}"):
            try:
                aliases = self._client.get_registered_model(self._name).aliases
            except MlflowException as err:
                if err.error_code == _NOT_FOUND:
                    return []
                raise
            found = self._client.search_model_versions(
                f"name = '{self._name}'", max_results=limit, order_by=["version_number DESC"]
            )
            return [self._listed(version, aliases) for version in found]

    def _listed(self, found: ModelVersion, aliases: Mapping[str, str]) -> ListedVersion:
        run = self._client.get_run(found.run_id or "")
        own = tuple(sorted(a for a, number in aliases.items() if str(number) == str(found.version)))
        created = datetime.fromtimestamp(found.creation_timestamp / 1000, UTC)
        return ListedVersion(
            _registered(found), own, created, dict(run.data.metrics), dict(run.data.tags)
        )

    def tags(self, version: RegisteredVersion) -> dict[str, str]:
        """Return the tags of the run that made a version: its data, its receipts."""
        with _translated(f"read the run of {version.name} version {version.version}"):
            tags: dict[str, str] = self._client.get_run(version.run_id).data.tags
        return tags

    def describe(self, version: RegisteredVersion, text: str) -> None:
        """Write Markdown beside a version and its run, where MLflow's pages show it."""
        with _translated(f"describe {version.name} version {version.version}"):
            self._client.update_model_version(version.name, version.version, text)
            self._client.set_tag(version.run_id, "mlflow.note.content", text)

    def log_report(
        self, name: str, metrics: Mapping[str, float], tags: Mapping[str, str],
        attachments: tuple[Path, ...],
    ) -> str:  # fmt: skip
        """Log a report on a model in service as a run of an experiment of its own; return its id.

        The experiment is named after the one of trainings, with ``_monitoring`` behind.
        """
        with _translated(f"log {name}"):
            wanted = f"{self._experiment}_monitoring"
            found = self._client.get_experiment_by_name(wanted)
            own = found.experiment_id if found else self._client.create_experiment(wanted)
            run = self._client.create_run(own, tags=dict(tags), run_name=name)
            now = run.info.start_time
            self._client.log_batch(
                run.info.run_id, metrics=[Metric(k, v, now, 0) for k, v in metrics.items()]
            )
            for attachment in attachments:
                self._client.log_artifact(run.info.run_id, str(attachment))
            self._client.set_terminated(run.info.run_id)
        return str(run.info.run_id)

    def log_decision(self, version: RegisteredVersion, *, passed: bool, why: str) -> None:
        """Write the gate's decision beside a version."""
        with _translated(f"mark {version.name} version {version.version}"):
            for key, value in (("presagio.gate", "passed" if passed else "refused"),
                               ("presagio.gate_why", why[:_LONGEST_TAG])):  # fmt: skip
                self._client.set_model_version_tag(version.name, version.version, key, value)

    def download(self, version: RegisteredVersion, path: str, folder: Path) -> Path:
        """Download a folder that was logged with a version, into an empty folder."""
        with _translated(f"download {path} of {version.name} version {version.version}"):
            return Path(self._client.download_artifacts(version.run_id, path, str(folder)))

    def fetch(self, version: RegisteredVersion, cache: Path, *, anew: bool = False) -> Path:
        """Bring a version's serving artifact into a local cache.

        Parameters
        ----------
        version
            Which version.
        cache
            The folder that holds one folder a version.
        anew
            Whether to download it even if the cache has it.

        Returns
        -------
        pathlib.Path
            The artifact folder; what is in it is not verified yet.
        """
        folder = cache / f"{version.name}-{version.version}-{version.run_id}"
        if anew:
            shutil.rmtree(folder, ignore_errors=True)
        if folder.exists():
            return folder
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            with _translated(f"download {version.name} version {version.version}"):
                got = self._client.download_artifacts(version.run_id, _ARTIFACT_PATH, scratch)
            # Another process may have been faster; a folder in the cache is always whole.
            if not folder.exists():
                shutil.move(got, folder)
        return folder

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
            experiment = mlflow.set_experiment(self._experiment).experiment_id
            with mlflow.start_run(experiment_id=experiment, tags=dict(record.tags)) as run:
                mlflow.log_params(dict(record.parameters))
                mlflow.log_metrics(dict(record.metrics))
                for candidate in record.candidates:
                    self._log_nested(experiment, run.info.run_id, candidate)
                for attachment in record.attachments:
                    mlflow.log_artifact(str(attachment), "report")
                mlflow.log_artifacts(str(record.artifact), _ARTIFACT_PATH)
                for table in record.tables:
                    mlflow.log_artifact(str(table), table.stem)
                version = self._log_estimator(record, run.info.run_id)
            self._client.set_model_version_tag(self._name, version, _DIGEST_TAG, record.digest)
        return RegisteredVersion(self._name, version, run.info.run_id, record.digest)

    def _log_nested(self, experiment: str, parent: str, candidate: LoggedCandidate) -> None:
        words = [candidate.kind] if candidate.kind == "baseline" else []
        name = " ".join([*words, *map(str, candidate.parameters.values())])
        run = self._client.create_run(
            experiment, tags={"mlflow.parentRunId": parent}, run_name=name
        )
        now = run.info.start_time
        self._client.log_batch(
            run.info.run_id,
            metrics=[Metric(key, value, now, 0) for key, value in candidate.metrics.items()],
            params=[Param(key, str(value)) for key, value in candidate.parameters.items()],
            tags=[RunTag("presagio.kind", candidate.kind)],
        )
        self._client.set_terminated(run.info.run_id)

    def _log_estimator(self, record: TrainingRecord, run_id: str) -> str:
        # Gaps turn integer and boolean columns into floats at inference, so all are doubles.
        example = record.input_example.astype(float)
        logged = mlflow.sklearn.log_model(
            record.estimator,
            name="model",
            serialization_format="skops",
            signature=mlflow.models.infer_signature(example, record.estimator.predict(example)),
            input_example=example,
            pip_requirements=_PIP_REQUIREMENTS,
            skops_trusted_types=list(TRUSTED_TYPES),
        )
        self._ensure_registered_model()
        # Not by log_model itself, which prints what it does among the output of our commands.
        version = self._client.create_model_version(
            self._name, logged.model_uri, run_id, model_id=logged.model_id
        )
        return str(version.version)

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
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    return Registry(settings.mlflow_url, settings.experiment, settings.model_name)
