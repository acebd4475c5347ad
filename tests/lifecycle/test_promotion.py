"""Promotions against the real MLflow, S3 and PostgreSQL."""

import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
from mlflow import MlflowClient

from presagio.errors import NoChampionError, RegistryError
from presagio.lifecycle.promotion import Promoter, open_promoter, promote, rollback
from presagio.machine.spec import MachineSpec
from presagio.registry.cache import folder_of
from presagio.registry.versions import RegisteredVersion
from presagio.settings import Settings
from presagio.storage.promotions import joined
from presagio.training.detectors.alarm import FailureAlarm
from presagio.training.train import TrainedModel
from tests.champions import register_version
from tests.conftest import RunningServices

pytestmark = pytest.mark.integration


@pytest.fixture
def settings(services: RunningServices) -> Settings:
    return services.settings


@pytest.fixture
def promoter(settings: Settings, spec: MachineSpec, tmp_path: Path) -> Iterator[Promoter]:
    name = f"promoted_{uuid4().hex[:8]}"
    own = {"model_name": name, "experiment": name, "home": tmp_path}
    promoter = open_promoter(settings.model_copy(update=own), spec)
    yield promoter
    promoter.promotions.close()


def _worse(model: TrainedModel) -> TrainedModel:
    """Return a model that alarms much too seldom."""
    alarm = model.result.alarm
    deaf = FailureAlarm(alarm.spec, alarm.plans)
    # Alarms for the three readings with the highest scores only.
    deaf.__dict__ |= vars(alarm) | {"threshold_": float(np.sort(model.prediction.score)[-3])}
    prediction = replace(model.prediction, label=model.prediction.score >= deaf.threshold_)
    return replace(model, result=replace(model.result, alarm=deaf), prediction=prediction)


def _register(promoter: Promoter, model: TrainedModel, folder: Path) -> RegisteredVersion:
    return register_version(model, promoter.registry, folder / uuid4().hex)


def test_the_first_version_needs_no_champion(
    promoter: Promoter, trained: TrainedModel, tmp_path: Path
) -> None:
    first = _register(promoter, trained, tmp_path)
    with pytest.raises(NoChampionError):
        promoter.registry.resolve()
    decision = promote(promoter, first, who="ana").decision
    assert (decision.kind, decision.previous, decision.forced) == ("promotion", None, False)
    assert decision.data_sha256 == trained.dataset.sha256
    assert promoter.registry.resolve() == first


def test_a_better_version_takes_over_and_a_worse_one_does_not(
    promoter: Promoter, trained: TrainedModel, tmp_path: Path
) -> None:
    deaf = _register(promoter, _worse(trained), tmp_path)
    promote(promoter, deaf, who="ana")
    good = _register(promoter, trained, tmp_path)
    taken = promote(promoter, good, who="ana", why="hears better").decision
    assert (taken.kind, taken.previous) == ("promotion", deaf.version)
    assert taken.why.startswith("hears better; its expected cost")
    assert taken.figures["challenger"]["cost"] < taken.figures["champion"]["cost"]
    assert taken.given == "hears better"
    assert taken.why == joined(taken.given, taken.reasons)
    refused = promote(promoter, deaf, who="ana").decision
    assert refused.kind == "refusal"
    assert (refused.given, joined("", refused.reasons)) == ("", refused.why)
    assert promoter.registry.resolve() == good
    history = promoter.promotions.history(good.name)
    assert [recorded.decision.kind for recorded in history] == ["refusal", "promotion", "promotion"]


def _gate_tags(settings: Settings, version: RegisteredVersion) -> dict[str, str]:
    found = MlflowClient(settings.mlflow_url).get_model_version(version.name, version.version)
    return {name: value for name, value in found.tags.items() if name.startswith("presagio.gate")}


def test_the_gate_can_be_overruled_and_it_is_written_down(
    promoter: Promoter, trained: TrainedModel, settings: Settings, tmp_path: Path
) -> None:
    good = _register(promoter, trained, tmp_path)
    promote(promoter, good, who="ana")
    assert _gate_tags(settings, good)["presagio.gate"] == "passed"
    deaf = _register(promoter, _worse(trained), tmp_path)
    promote(promoter, deaf, who="ana")
    tags = _gate_tags(settings, deaf)
    assert (tags["presagio.gate"], tags["presagio.gate_who"]) == ("not promoted", "ana")
    assert tags["presagio.gate_why"].startswith("its expected cost")
    assert promoter.registry.description(deaf).startswith(
        f"**Version {deaf.version} is not promoted.** its expected cost"
    )
    decision = promote(promoter, deaf, who="bea", why="a drill", force=True).decision
    assert (decision.kind, decision.forced) == ("promotion", True)
    assert promoter.registry.resolve() == deaf
    # The tags say who overruled the gate, and both reasons: the person's and the gate's.
    tags = _gate_tags(settings, deaf)
    assert (tags["presagio.gate"], tags["presagio.gate_who"]) == ("forced", "bea")
    assert tags["presagio.gate_why"].startswith("a drill; its expected cost")
    assert promoter.registry.description(deaf).startswith(
        f"**Version {deaf.version} is champion, promoted against the gate.** a drill; its"
    )
    assert [found.tags["presagio.gate"] for found in promoter.registry.listing()] == [
        "forced", "passed",
    ]  # fmt: skip


def test_pages_say_who_was_champion_and_keep_what_people_write(
    promoter: Promoter, trained: TrainedModel, tmp_path: Path
) -> None:
    first, second = (_register(promoter, trained, tmp_path) for _ in range(2))
    promoter.registry.describe(first, "Of the first shift.\n\nAsk Ana.")
    promote(promoter, first, who="ana")
    promote(promoter, second, who="bea", why="two\n\nlines", force=True)
    described = promoter.registry.description(first)
    assert described.startswith(f"**Version {first.version} was champion until ")
    assert described.endswith("\n\nOf the first shift.\n\nAsk Ana.")
    rollback(promoter, who="ana", why="a drill")
    described = promoter.registry.description(first)
    assert "is champion again: rolled back from version" in described
    assert described.count("**Version") == 1
    assert promoter.registry.description(second).count("\n\n") == 0
    # Asked about the champion itself, the gate may say no: it stays champion, and its page says so.
    assert promote(promoter, first, who="ana").decision.kind == "refusal"
    assert promoter.registry.description(first) == described


def test_an_alias_that_cannot_be_moved_leaves_no_tag_of_a_promotion(
    promoter: Promoter, trained: TrainedModel, settings: Settings, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    first = _register(promoter, trained, tmp_path)

    def fail(*_: object) -> None:
        raise RegistryError("no alias today")

    monkeypatch.setattr(promoter.registry, "assign", fail)
    with pytest.raises(RegistryError, match="today"):
        promote(promoter, first, who="ana")
    assert _gate_tags(settings, first) == {}
    assert promoter.promotions.history(first.name) == []


def test_a_decision_stands_where_the_pages_cannot_be_written(
    promoter: Promoter, trained: TrainedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    first = _register(promoter, trained, tmp_path)

    def fail(*_: object, **__: object) -> None:
        raise RegistryError("no tags today")

    monkeypatch.setattr(promoter.registry, "log_decision", fail)
    assert promote(promoter, first, who="ana").decision.kind == "promotion"
    assert promoter.registry.resolve() == first
    assert "stands, and MLflow's page does not say so: no tags today" in caplog.text


def test_force_that_was_not_needed_is_no_force(
    promoter: Promoter, trained: TrainedModel, settings: Settings, tmp_path: Path
) -> None:
    first = _register(promoter, trained, tmp_path)
    assert not promote(promoter, first, who="ana", why="at once", force=True).decision.forced
    assert _gate_tags(settings, first)["presagio.gate"] == "passed"


def test_a_version_that_cannot_be_served_is_refused(
    promoter: Promoter, trained: TrainedModel, tmp_path: Path
) -> None:
    bad = _register(promoter, trained, tmp_path)
    decision = promote(promoter, replace(bad, digest="0" * 64), who="ana").decision
    assert decision.kind == "refusal"
    assert "has digest" in decision.why


def test_a_version_without_its_held_out_rows_cannot_be_judged(
    promoter: Promoter, trained: TrainedModel, settings: Settings, tmp_path: Path
) -> None:
    champion = _register(promoter, trained, tmp_path)
    promote(promoter, champion, who="ana")
    client = MlflowClient(settings.mlflow_url)
    experiment = client.create_experiment(f"bare_{uuid4().hex[:8]}")
    bare = replace(champion, run_id=client.create_run(experiment).info.run_id)
    # What serving needs is in the cache; the run itself has nothing.
    cached = promoter.registry.fetch(champion, promoter.settings.model_cache)
    shutil.copytree(cached, folder_of(promoter.settings.model_cache, bare))
    decision = promote(promoter, bare, who="ana").decision
    assert decision.kind == "refusal"
    assert "held out from it" in decision.why
    assert promote(promoter, bare, who="ana", why="known", force=True).decision.forced


def test_back_and_forth(promoter: Promoter, trained: TrainedModel, tmp_path: Path) -> None:
    name = promoter.registry.name
    with pytest.raises(NoChampionError):
        rollback(promoter, who="ana", why="x")
    first, second = (_register(promoter, trained, tmp_path) for _ in range(2))
    promote(promoter, first, who="ana")
    with pytest.raises(RegistryError, match="no version was champion before"):
        rollback(promoter, who="ana", why="x")
    promote(promoter, second, who="ana", why="a drill", force=True)
    decision = rollback(promoter, who="ana", why="it was a drill").decision
    assert (decision.kind, decision.version, decision.previous) == (
        "rollback", first.version, second.version,
    )  # fmt: skip
    assert promoter.registry.resolve() == first
    rollback(promoter, second.version, who="ana", why="not at all")
    assert promoter.registry.resolve() == second
    assert len(promoter.promotions.history(name)) == 4


def test_promotions_at_once_come_one_after_the_other(
    promoter: Promoter, trained: TrainedModel, tmp_path: Path
) -> None:
    versions = [_register(promoter, trained, tmp_path) for _ in range(3)]
    threads = [
        threading.Thread(
            target=promote,
            args=(promoter, version),
            kwargs={"who": "ana", "why": "a race", "force": True},
        )
        for version in versions
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    history = [r.decision for r in promoter.promotions.history(versions[0].name)]
    assert sorted(d.version for d in history) == sorted(v.version for v in versions)
    # Each knows the one before it: nobody decided on an old state.
    assert [d.previous for d in history] == [*(d.version for d in history[1:]), None]
    assert promoter.registry.resolve().version == history[0].version
