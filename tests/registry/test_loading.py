"""What a version becomes: the same at every door, whoever made it and whatever the cache holds."""

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from presagio.errors import RegistryError, SettingsError
from presagio.lifecycle.promotion import Promoter, open_promoter, promote, rollback
from presagio.machine.spec import MachineSpec
from presagio.registry.cache import folder_of
from presagio.registry.loading import load_version
from presagio.registry.reader import open_reader
from presagio.registry.versions import RegisteredVersion
from presagio.serving.champion.holder import Champion
from presagio.settings import Settings
from presagio.training.train import TrainedModel
from tests.champions import (
    fitted,
    readings_with_target,
    register_champion,
    register_pipeline,
    register_version,
)
from tests.conftest import RunningServices

pytestmark = pytest.mark.integration


@pytest.fixture
def settings(services: RunningServices, tmp_path: Path) -> Settings:
    name = f"loaded_{uuid4().hex[:8]}"
    changes = {"model_name": name, "experiment": name, "home": tmp_path}
    return services.settings.model_copy(update=changes)


@pytest.fixture
def promoter(settings: Settings, spec: MachineSpec) -> Iterator[Promoter]:
    promoter = open_promoter(settings, spec)
    yield promoter
    promoter.promotions.close()


@pytest.fixture(scope="module")
def rows(spec: MachineSpec) -> pd.DataFrame:
    return readings_with_target(spec, 3000)


def _pipeline(settings: Settings, rows: pd.DataFrame) -> RegisteredVersion:
    return register_pipeline(settings, fitted(rows, make_pipeline(StandardScaler(), SVC())), rows)


def _served(settings: Settings, spec: MachineSpec) -> Champion:
    champion = Champion(settings, spec, lambda: open_reader(settings))
    champion.refresh()
    return champion


def test_the_gate_takes_a_third_party_pipeline_as_serving_does(
    settings: Settings, promoter: Promoter, spec: MachineSpec, rows: pd.DataFrame
) -> None:
    version = _pipeline(settings, rows)
    assert _served(settings, spec).served.version == version.version
    MlflowClient(settings.mlflow_url).delete_registered_model_alias(version.name, "champion")
    decision = promote(promoter, version, who="ana").decision
    assert (decision.kind, decision.why) == ("promotion", "there was no champion")


def test_a_third_party_champion_is_compared_with_and_can_come_back(
    settings: Settings, promoter: Promoter, rows: pd.DataFrame, trained: TrainedModel,
    tmp_path: Path,
) -> None:  # fmt: skip
    old = _pipeline(settings, rows)
    ours = register_version(trained, promoter.registry, tmp_path / "ours")
    decision = promote(promoter, ours, who="ana").decision
    assert decision.kind == "promotion"
    assert decision.figures["champion"]["version"] == old.version
    assert "cannot be served" not in decision.why
    assert rollback(promoter, old.version, who="ana", why="a drill").decision.kind == "rollback"
    # It has no held-out rows of its own, so by itself it cannot take over from a champion.
    promote(promoter, ours, who="ana")
    assert promote(promoter, old, who="ana").decision.kind == "refusal"


def test_a_package_that_is_missing_here_is_no_fault_of_the_champion(
    settings: Settings, promoter: Promoter, rows: pd.DataFrame, trained: TrainedModel,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    old = _pipeline(settings, rows)
    ours = register_version(trained, promoter.registry, tmp_path / "ours")
    monkeypatch.setitem(sys.modules, "skops.io", None)
    with pytest.raises(SettingsError, match=r"install presagio\[third-party\]"):
        promote(promoter, ours, who="ana")
    assert promoter.registry.resolve() == old


def _truncated(folder: Path) -> None:
    graph = folder / "model.onnx"
    graph.write_bytes(graph.read_bytes()[:1000])


def _emptied(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def _a_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_bytes(b"half a file")


def _a_link(folder: Path) -> None:
    elsewhere = folder.parent / uuid4().hex
    folder.rename(elsewhere)
    _truncated(elsewhere)
    folder.symlink_to(elsewhere)


@pytest.mark.parametrize("damage", [_truncated, _emptied, _a_file, _a_link])
@pytest.mark.parametrize("maker", ["ours", "third party"])
def test_a_damaged_cache_is_repaired_at_every_door(
    settings: Settings, promoter: Promoter, spec: MachineSpec, rows: pd.DataFrame,
    trained: TrainedModel, tmp_path: Path, damage: Callable[[Path], None], maker: str,
) -> None:  # fmt: skip
    if maker == "ours":
        version = register_champion(trained, promoter.registry, tmp_path / "ours")
    else:
        version = _pipeline(settings, rows)
    inputs = rows.iloc[:100, :-1].to_numpy()
    expected = load_version(promoter.registry, version, spec, settings).predict(inputs)
    folder = folder_of(settings.model_cache, version)
    damage(folder)
    again = rollback(promoter, version.version, who="ana", why="the gate loads it").decision
    assert again.version == version.version
    damage(folder)
    champion = _served(settings, spec)
    assert (champion.reason, champion.served.version) == (None, version.version)
    np.testing.assert_array_equal(champion.served.predictor.predict(inputs).label, expected.label)


def test_a_cache_that_cannot_be_used_says_so(
    settings: Settings, promoter: Promoter, spec: MachineSpec, trained: TrainedModel,
    tmp_path: Path,
) -> None:  # fmt: skip
    version = register_champion(trained, promoter.registry, tmp_path / "ours")
    settings.model_cache.write_bytes(b"a file")
    with pytest.raises(RegistryError, match="models cannot be kept"):
        load_version(promoter.registry, version, spec, settings)
    champion = _served(settings, spec)
    assert (champion.served.source, "cannot be kept" in (champion.reason or "")) == (
        "fallback", True,
    )  # fmt: skip
