"""Champions that somebody registered from a notebook: served, or refused with the reason."""

import pickle
from pathlib import Path
from typing import Any
from uuid import uuid4

import mlflow
import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC

from presagio.errors import InvalidArtifactError
from presagio.machine.spec import MachineSpec
from presagio.registry.loading import load_version
from presagio.registry.reader import RegistryReader, open_reader
from presagio.registry.versions import RegisteredVersion
from presagio.serving.champion.holder import Champion
from presagio.settings import Settings
from tests.champions import fitted, readings_with_target, register_pipeline
from tests.conftest import RunningServices

pytestmark = pytest.mark.integration


@pytest.fixture
def settings(services: RunningServices, tmp_path: Path) -> Settings:
    name = uuid4().hex[:8]
    return services.settings.model_copy(
        update={
            "model_name": f"third_party_{name}",
            "experiment": f"third_party_{name}",
            "home": tmp_path,
        }
    )


@pytest.fixture
def reader(settings: Settings) -> RegistryReader:
    return open_reader(settings)


@pytest.fixture(scope="module")
def rows(spec: MachineSpec) -> pd.DataFrame:
    return readings_with_target(spec, 4000)


def _calibrated() -> Any:
    svc = make_pipeline(StandardScaler(), SVC(C=10))
    return CalibratedClassifierCV(svc, ensemble=False, cv=3)


def _by_name(spec: MachineSpec) -> Any:
    scale = ColumnTransformer([("scale", StandardScaler(), list(spec.feature_names))])
    return CalibratedClassifierCV(make_pipeline(scale, SVC(C=10)), ensemble=False, cv=3)


_CALIBRATED_TYPES = [
    "sklearn.calibration._CalibratedClassifier", "sklearn.calibration._SigmoidCalibration",
]  # fmt: skip


@pytest.mark.parametrize("kind", ["calibrated", "by column name", "probabilities"])
def test_a_pipeline_with_probabilities_is_run_by_onnx(
    settings: Settings, rows: pd.DataFrame, spec: MachineSpec, kind: str
) -> None:
    kinds = {
        "calibrated": _calibrated(),
        "by column name": _by_name(spec),
        "probabilities": make_pipeline(StandardScaler(), LogisticRegression()),
    }
    model = fitted(rows, kinds[kind])
    version = register_pipeline(settings, model, rows, skops_trusted_types=[
        *_CALIBRATED_TYPES, "sklearn.compose._column_transformer._RemainderColsList"])  # fmt: skip
    champion = Champion(settings, spec, lambda: open_reader(settings))
    champion.refresh()
    assert (champion.served.version, champion.reason) == (version.version, None)
    predictor = champion.served.predictor
    assert predictor.artifact.card["run_by"] == "ONNX Runtime"
    inputs = rows.iloc[:, :-1]
    said = predictor.predict(inputs.to_numpy())
    assert np.allclose(said.probability, model.predict_proba(inputs)[:, 1], atol=1e-3)
    assert (said.label == model.predict(inputs)).mean() > 0.999
    # It is in the cache as an artifact of ours, from which a start without the registry serves.
    again = Champion(settings, spec, lambda: open_reader(settings))
    assert (again.served.source, again.served.version) == ("cache", version.version)


def test_a_pipeline_that_cannot_be_converted_is_run_by_scikit_learn(
    settings: Settings, rows: pd.DataFrame, spec: MachineSpec
) -> None:
    # Through FunctionTransformer anything can happen, and no converter knows what.
    odd = FunctionTransformer(np.tanh)
    model = fitted(rows, make_pipeline(StandardScaler(), odd, SVC(C=10)))
    register_pipeline(settings, model, rows, skops_trusted_types=["numpy.tanh"])
    champion = Champion(settings, spec, lambda: open_reader(settings))
    champion.refresh()
    assert champion.reason is None
    predictor = champion.served.predictor
    assert predictor.artifact.card["run_by"] == "scikit-learn"
    inputs = rows.iloc[:, :-1]
    said = predictor.predict(inputs.to_numpy())
    assert np.allclose(said.score, model.decision_function(inputs))
    assert (said.label == model.predict(inputs)).all()


class _Creates:
    """What a pickle can do: run a function when it is loaded."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self._path,)


def _replace_model(settings: Settings, version: RegisteredVersion, file: Path) -> None:
    """Put another file in the place of a model that is registered already."""
    client = mlflow.MlflowClient(settings.mlflow_url)
    client.log_model_artifact(version.source.removeprefix("models:/"), str(file))


def _load(settings: Settings, version: RegisteredVersion, spec: MachineSpec) -> Any:
    return load_version(open_reader(settings), version, spec, settings)


def test_a_pickle_is_never_opened_unless_it_is_named(
    settings: Settings, rows: pd.DataFrame, spec: MachineSpec, tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    model = fitted(rows, make_pipeline(StandardScaler(), SVC()))
    version = register_pipeline(settings, model, rows, serialization_format="cloudpickle")
    with pytest.raises(InvalidArtifactError, match="PRESAGIO_ALLOW_PICKLE"):
        _load(settings, version, spec)
    named = settings.model_copy(update={"allow_pickle": (f"{version.name}/{version.version}",)})
    assert _load(named, version, spec).artifact.card["run_by"] == "ONNX Runtime"
    assert "loaded from a pickle" in caplog.text
    mark = tmp_path / "mark"
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(_Creates(mark)))
    _replace_model(settings, version, tmp_path / "model.pkl")
    with pytest.raises(InvalidArtifactError, match="PRESAGIO_ALLOW_PICKLE"):
        _load(settings, version, spec)
    assert not mark.exists()


class Unknown:
    """A type that nobody has allowed."""

    def __init__(self) -> None:
        self.value = 1


@pytest.mark.parametrize("kind", ["unknown type", "truncated", "a pickle in skops's clothes"])
def test_a_bad_skops_file_is_refused(
    settings: Settings, rows: pd.DataFrame, spec: MachineSpec, tmp_path: Path, kind: str
) -> None:
    model = fitted(rows, make_pipeline(StandardScaler(), SVC()))
    version = register_pipeline(settings, model, rows)
    file, mark = tmp_path / "model.skops", tmp_path / "mark"
    if kind == "unknown type":
        skops.io.dump(Unknown(), file)
    elif kind == "truncated":
        raw = skops.io.dumps(model)
        file.write_bytes(raw[: len(raw) // 2])
    else:
        file.write_bytes(pickle.dumps(_Creates(mark)))
    _replace_model(settings, version, file)
    with pytest.raises(InvalidArtifactError, match="is refused"):
        _load(settings, version, spec)
    assert not mark.exists()


def test_a_model_of_other_columns_is_refused(
    settings: Settings, rows: pd.DataFrame, spec: MachineSpec
) -> None:
    other = rows.rename(columns={"torque_nm": "humidity"})
    version = register_pipeline(
        settings, fitted(other, make_pipeline(StandardScaler(), SVC())), other
    )
    with pytest.raises(InvalidArtifactError, match="humidity"):
        _load(settings, version, spec)


def test_a_model_without_a_signature_is_refused(
    settings: Settings, rows: pd.DataFrame, spec: MachineSpec
) -> None:
    model = fitted(rows, make_pipeline(StandardScaler(), SVC()))
    version = register_pipeline(settings, model, rows, signature=False)
    with pytest.raises(InvalidArtifactError, match="no signature"):
        _load(settings, version, spec)
