"""The API follows the champion in a real registry."""

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from presagio.machine.spec import MachineSpec, load_spec
from presagio.registry.recording import Registry, open_registry
from presagio.serving.champion import Champion
from presagio.settings import Settings
from presagio.stack.health import answers
from presagio.stack.layout import Layout
from presagio.stack.processes import stop_all
from presagio.stack.services import build_services
from presagio.training.registration import register_model
from presagio.training.train import TrainedModel
from tests.champions import register_champion
from tests.conftest import RunningServices, free_ports
from tests.serving.conftest import Serve

pytestmark = pytest.mark.integration


@pytest.fixture
def settings(services: RunningServices, tmp_path: Path) -> Settings:
    name = uuid4().hex[:8]
    return services.settings.model_copy(
        update={"model_name": f"served_{name}", "experiment": f"served_{name}", "home": tmp_path}
    )


@pytest.fixture
def registry(settings: Settings) -> Registry:
    return open_registry(settings)


def _wait(client: httpx.Client, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        ready: dict[str, Any] = client.get("/health/ready").json()
        if wanted(ready):
            return ready
        time.sleep(0.05)
    raise AssertionError(f"not in time: {ready}")


def test_the_champion_is_served_from_the_start(
    serve: Serve, settings: Settings, registry: Registry, trained: TrainedModel, tmp_path: Path,
    spec: MachineSpec,
) -> None:  # fmt: skip
    registered = register_champion(trained, registry, tmp_path / "files")
    with serve(settings) as client:
        ready = client.get("/health/ready").json()
        answer = client.post("/predict", json={"request_id": 1, "features": spec.example}).json()
    assert (ready["model"], ready["version"]) == (registered.name, registered.version)
    assert (ready["source"], ready["degraded"], ready["reason"]) == ("registry", False, None)
    assert (answer["model"], answer["version"], answer["degraded"]) == (
        registered.name, registered.version, False,
    )  # fmt: skip


def test_a_new_champion_is_taken_without_a_restart(
    serve: Serve, settings: Settings, registry: Registry, trained: TrainedModel, tmp_path: Path
) -> None:
    with serve(settings) as client:
        degraded = client.get("/health/ready").json()
        assert degraded["source"] == "fallback"
        assert "no version of" in degraded["reason"]
        for number in ("1", "2"):
            register_champion(trained, registry, tmp_path / number)
            ready = _wait(client, lambda r, n=number: r["version"] == n)  # type: ignore[misc]
            assert ready["degraded"] is False


def test_a_candidate_that_is_not_what_was_registered_is_refused(
    serve: Serve, settings: Settings, registry: Registry, trained: TrainedModel, tmp_path: Path
) -> None:
    good = register_champion(trained, registry, tmp_path / "1")
    with serve(settings) as client:
        bad = register_model(trained, registry, tmp_path / "2")
        registry._client.set_model_version_tag(
            bad.name, bad.version, "presagio.artifact_sha256", "0" * 64
        )
        registry.assign("champion", bad)
        refused = _wait(client, lambda r: r["reason"] is not None)
        assert refused["version"] == good.version
        assert "has digest" in refused["reason"]
        registry.assign("champion", good)
        assert _wait(client, lambda r: r["reason"] is None)["version"] == good.version
        registry.assign("champion", bad)
        assert "has digest" in _wait(client, lambda r: r["reason"] is not None)["reason"]


def test_a_damaged_copy_in_the_cache_is_fetched_anew(
    settings: Settings, registry: Registry, trained: TrainedModel, tmp_path: Path
) -> None:
    registered = register_champion(trained, registry, tmp_path / "1")
    folder = registry.fetch(registered, settings.model_cache)
    (folder / "model.onnx").write_bytes(b"altered")
    champion = Champion(settings, load_spec(), lambda: registry)
    champion.refresh()
    assert (champion.served.version, champion.reason) == (registered.version, None)
    assert not champion.served.degraded


def test_a_registry_that_goes_away_changes_nothing(
    settings: Settings, registry: Registry, trained: TrainedModel, tmp_path: Path
) -> None:
    registered = register_champion(trained, registry, tmp_path / "1")
    away = open_registry(settings.model_copy(update={"mlflow_url": free_ports().url("mlflow")}))
    current = registry
    champion = Champion(settings, load_spec(), lambda: current)
    champion.refresh()
    champion._registry = away
    champion.refresh()
    assert champion.served.version == registered.version
    assert "PRESAGIO_MLFLOW_URL" in (champion.reason or "")


@pytest.fixture
def mlflow_without_s3(services: RunningServices, tmp_path: Path) -> Iterator[str]:
    """A second MLflow server on the same database, whose S3 is away."""
    layout = Layout(tmp_path)
    layout.create()
    built = build_services(
        services.settings.model_copy(update={"home": tmp_path}),
        layout,
        services.ports,
        services.credentials,
    )
    (usual,) = [service for service in built if service.name == "mlflow"]
    port = free_ports().mlflow
    command = [str(port) if part == str(services.ports.mlflow) else part for part in usual.command]
    away = {"MLFLOW_S3_ENDPOINT_URL": free_ports().url("s3")}
    server = subprocess.Popen(command, env={**usual.env, **away}, start_new_session=True)
    try:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 60
        while not answers(port, "/health")(datetime.now(UTC)):
            assert time.monotonic() < deadline
            time.sleep(0.2)
        yield url
    finally:
        stop_all([(server, signal.SIGTERM)], 10.0)


@pytest.mark.slow
def test_s3_away_is_the_fallback_within_ten_seconds(
    serve: Serve, settings: Settings, registry: Registry, trained: TrainedModel, tmp_path: Path,
    mlflow_without_s3: str,
) -> None:  # fmt: skip
    registered = register_champion(trained, registry, tmp_path / "files")
    assert (
        open_registry(settings.model_copy(update={"mlflow_url": mlflow_without_s3})).resolve()
        == registered
    )
    began = time.monotonic()
    with serve(settings.model_copy(update={"mlflow_url": mlflow_without_s3})) as client:
        assert client.get("/health/ready").json()["source"] == "fallback"
        assert time.monotonic() - began < 10
        ready = _wait(client, lambda r: "download" in (r["reason"] or ""))
        assert ready["degraded"] is True


def test_no_registry_is_ready_within_ten_seconds(serve: Serve, settings: Settings) -> None:
    away = settings.model_copy(update={"mlflow_url": free_ports().url("mlflow")})
    began = time.monotonic()
    with serve(away) as client:
        assert client.get("/health/ready").json()["degraded"] is True
        assert time.monotonic() - began < 10


def test_the_model_says_what_it_is(serve: Serve, settings: Settings) -> None:
    with serve(settings) as client:
        described = client.get("/model").raise_for_status().json()
        page = client.get("/model/card").raise_for_status()
    assert described["digest"].startswith(described["version"])
    assert described["card"]["test"]["f1"] > 0.8
    assert page.headers["content-type"].startswith("text/html")
    assert f"{described['card']['test']['f1']:.4g}" in page.text
