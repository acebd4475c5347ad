"""What replicas say of each other, and what they do where something that they need is missing."""

import socket
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from mlflow import MlflowClient
from pydantic import SecretStr

from presagio.machine.spec import MachineSpec
from presagio.registry.writer import Registry
from presagio.settings import Settings
from presagio.storage.objects import open_store
from presagio.training.train import TrainedModel
from tests.champions import register_champion, register_version
from tests.conftest import free_ports
from tests.serving.conftest import serve_app

pytestmark = [pytest.mark.integration, pytest.mark.slow]


def _ready(client: httpx.Client) -> dict[str, Any]:
    return dict(client.get("/health/ready").json())


def _says(client: httpx.Client, reason: str) -> bool:
    return reason in (_ready(client)["reason"] or "")


def _model(client: httpx.Client) -> dict[str, Any]:
    return dict(client.get("/model").raise_for_status().json())


def _soon(fine: Callable[[], object], limit_s: float = 60.0) -> None:
    deadline = time.monotonic() + limit_s
    while not fine():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _reload(client: httpx.Client) -> dict[str, Any]:
    """Reload, until all have looked within the time that an answer may take."""
    deadline = time.monotonic() + 100
    while (found := client.post("/model/reload").json())["reason"] is not None:
        assert time.monotonic() < deadline, found
    return dict(found)


@pytest.fixture
def on_host(settings: Settings, tmp_path: Path) -> Callable[..., Settings]:
    """Give the settings of a replica on a host of its own."""

    def make(name: str, **changes: Any) -> Settings:
        home = tmp_path / name
        home.mkdir()
        return settings.model_copy(update={"replica": name, "home": home} | changes)

    return make


def test_a_reload_that_reaches_one_replica_reaches_all_and_each_knows_of_all(
    on_host: Callable[..., Settings], registry: Registry, trained: TrainedModel, tmp_path: Path,
    spec: MachineSpec, settings: Settings,
) -> None:  # fmt: skip
    first = register_champion(trained, registry, tmp_path / "1")
    with serve_app(on_host("one")) as one, serve_app(on_host("two")) as two:
        _soon(lambda: len(_model(one)["replicas"]["processes"]) == 2)
        second = register_champion(trained, registry, tmp_path / "2")
        assert _reload(one)["version"] == second.version
        asked = {"request_id": 1, "features": spec.example}
        for client, name in ((one, "one"), (two, "two")):
            answer = client.post("/predict", json=asked)
            assert answer.json()["version"] == second.version
            assert answer.headers["x-presagio-replica"] == name
            model = _model(client)
            assert (model["version"], model["replicas"]["replica"]) == (second.version, name)
            assert model["replicas"]["agreed"]["version"] == second.version
            assert model["replicas"]["reason"] is None
            states = model["replicas"]["processes"]
            assert [(s["replica"], s["version"], s["behind"]) for s in states] == [
                ("one", second.version, False), ("two", second.version, False),
            ]  # fmt: skip
            metrics = client.get("/metrics").text
            assert f'presagio_replica_info{{replica="{name}"}} 1.0' in metrics
            assert 'presagio_replica_processes{fleet="ai4i2020"} 2.0' in metrics
            assert 'presagio_replica_processes_behind{fleet="ai4i2020"} 0.0' in metrics
        # One that no replica can serve is served by none.
        broken = register_version(trained, registry, tmp_path / "3")
        MlflowClient(settings.mlflow_url).set_model_version_tag(
            broken.name, broken.version, "presagio.artifact_sha256", "0" * 64
        )
        registry.assign("champion", broken)
        two.post("/model/reload")
        for client in (one, two):
            _soon(partial(_says, client, "has digest"))
            assert _ready(client)["version"] == second.version
        registry.assign("champion", first)
        assert _reload(one)["version"] == first.version
        assert _model(two)["version"] == first.version


def test_a_new_host_serves_the_champion_without_the_registry_and_no_other_bytes(
    on_host: Callable[..., Settings], registry: Registry, trained: TrainedModel, tmp_path: Path,
    settings: Settings, spec: MachineSpec, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    champion = register_champion(trained, registry, tmp_path / "1")
    store, bucket = open_store(settings), settings.data_bucket
    with serve_app(on_host("one")):
        _soon(lambda: any(o.key.endswith("manifest.json") for o in store.list(bucket, "champ")))
    gone = {"mlflow_url": free_ports().url("mlflow"), "mlflow_timeout_s": 1}
    with serve_app(on_host("new", **gone)) as client:
        ready = _ready(client)
        answer = client.post("/predict", json={"request_id": 1, "features": spec.example}).json()
    assert (ready["model"], ready["version"]) == (champion.name, champion.version)
    assert ready["degraded"]
    assert (answer["model"], answer["version"]) == (champion.name, champion.version)
    for stored in list(store.list(bucket, "champions/")):
        if stored.key.endswith("model.onnx"):
            store.write(bucket, stored.key, b"what somebody else would like to be served")
    with serve_app(on_host("newer", **gone)) as client:
        ready = _ready(client)
    assert ready["source"] == "fallback"
    assert "model.onnx is not the file that was exported" in caplog.text


def test_a_host_that_has_what_was_agreed_on_is_ready_before_the_registry_answers(
    on_host: Callable[..., Settings], registry: Registry, trained: TrainedModel, tmp_path: Path
) -> None:
    champion = register_champion(trained, registry, tmp_path / "1")
    host = on_host("one")
    with serve_app(host) as client:
        _soon(lambda: _model(client)["replicas"]["agreed"])
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hanging = {"mlflow_url": f"http://127.0.0.1:{silent.getsockname()[1]}"}
        slow = host.model_copy(update=hanging | {"mlflow_timeout_s": 30.0})
        with serve_app(slow, ready=False) as client:
            _soon(lambda: client.get("/health/ready").status_code == 200, 15.0)
            ready = _ready(client)
            assert (ready["source"], ready["version"]) == ("cache", champion.version)


def test_without_their_database_each_follows_the_alias_and_says_so(
    on_host: Callable[..., Settings], registry: Registry, trained: TrainedModel, tmp_path: Path
) -> None:
    nowhere = SecretStr(f"postgresql://nobody:secret@127.0.0.1:{free_ports().postgres}/none")
    own = {"api_database_url": nowhere, "registry_poll_s": 0.2}
    first = register_champion(trained, registry, tmp_path / "1")
    with serve_app(on_host("one", **own)) as client:
        _soon(lambda: _ready(client)["version"] == first.version)
        second = register_champion(trained, registry, tmp_path / "2")
        _soon(lambda: _ready(client)["version"] == second.version)
        ready = _ready(client)
        assert not ready["degraded"]
        assert "the replicas' database cannot be used" in ready["replicas_reason"]
        assert "secret" not in ready["replicas_reason"]
        assert "presagio_replicas_known 0.0" in client.get("/metrics").text
        reloaded = client.post("/model/reload").json()
        assert "not all workers" in reloaded["reason"]
