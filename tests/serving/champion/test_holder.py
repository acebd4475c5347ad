"""The API follows the champion in a real registry."""

import base64
import hashlib
import hmac
import json
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from mlflow import MlflowClient
from pydantic import SecretStr

from presagio.deployment.health import answers
from presagio.deployment.provision import provision_webhook
from presagio.machine.spec import MachineSpec, load_spec
from presagio.registry.writer import Registry, open_registry
from presagio.serving.champion.holder import Champion
from presagio.settings import Settings
from presagio.stack.layout import Layout
from presagio.stack.processes import stop_all
from presagio.stack.services import build_services
from presagio.training.train import TrainedModel
from tests.champions import register_champion, register_version
from tests.conftest import RunningServices, free_ports
from tests.faulty_proxy import faulty_proxy
from tests.serving.conftest import Serve, serve_app

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
        bad = register_version(trained, registry, tmp_path / "2")
        MlflowClient(settings.mlflow_url).set_model_version_tag(
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
    server = httpx.URL(settings.mlflow_url)
    with faulty_proxy((server.host, server.port or 80)) as proxy:
        reader = open_registry(settings.model_copy(update={"mlflow_url": proxy.url}))
        champion = Champion(settings, load_spec(), lambda: reader)
        champion.refresh()
        assert not champion.served.degraded
        proxy.choose = lambda _number: "503"
        champion.refresh()
        assert (champion.served.version, champion.served.degraded) == (registered.version, True)
        assert "PRESAGIO_MLFLOW_URL" in (champion.reason or "")
        proxy.choose = lambda _number: "none"
        champion.refresh()
        assert (champion.served.degraded, champion.reason) == (False, None)


def test_a_start_without_the_registry_serves_the_last_good_model(
    serve: Serve, settings: Settings, registry: Registry, trained: TrainedModel, tmp_path: Path
) -> None:
    registered = register_champion(trained, registry, tmp_path / "1")
    with serve(settings):
        pass
    away = settings.model_copy(update={"mlflow_url": free_ports().url("mlflow")})
    with serve(away) as client:
        ready = client.get("/health/ready").json()
        assert (ready["version"], ready["source"], ready["degraded"]) == (
            registered.version, "cache", True,
        )  # fmt: skip
    with serve(settings) as client:
        back = _wait(client, lambda r: not r["degraded"])
        assert (back["version"], back["source"]) == (registered.version, "registry")


@pytest.mark.parametrize("damage", ["model", "note", "other name"])
def test_a_last_good_model_that_is_not_is_not_served(
    settings: Settings, registry: Registry, trained: TrainedModel, tmp_path: Path, damage: str
) -> None:
    registered = register_champion(trained, registry, tmp_path / "1")
    Champion(settings, load_spec(), lambda: registry).refresh()
    folder = registry.fetch(registered, settings.model_cache)
    if damage == "model":
        (folder / "model.onnx").write_bytes(b"altered")
    elif damage == "note":
        (settings.model_cache / "last-good.json").write_text('{"folder": 7}', encoding="utf-8")
    else:
        settings = settings.model_copy(update={"model_name": "another"})
    assert Champion(settings, load_spec(), lambda: registry).served.source == "fallback"


def _poison(folder: Path, kind: str) -> None:
    """Make an artifact bad in a way that its own digests do not show."""
    manifest = json.loads((folder / "manifest.json").read_bytes())
    if kind == "truncated graph":
        graph = (folder / "model.onnx").read_bytes()
        (folder / "model.onnx").write_bytes(graph[: len(graph) // 2])
    elif kind == "other inputs":
        spec = json.loads((folder / "spec.json").read_bytes())
        spec["features"][0]["name"] = "humidity"
        for quantity in spec["quantities"]:
            quantity["of"] = [n.replace("airtemperature_k", "humidity") for n in quantity["of"]]
        (folder / "spec.json").write_text(json.dumps(spec), encoding="utf-8")
        manifest["inputs"][0] = "humidity"
    elif kind == "other answers":
        for example in manifest["examples"]:
            example["score"] += 1.0
    elif kind == "no examples":
        manifest["examples"] = []
    for name in ("model.onnx", "spec.json", "card.json"):
        manifest["files"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("truncated graph", "cannot be loaded"),
        ("other inputs", "the model takes"),
        ("other answers", "recorded example"),
        ("no examples", "records no examples"),
    ],
)
def test_a_poisoned_artifact_is_refused_while_the_old_one_serves(
    settings: Settings, registry: Registry, trained: TrainedModel, tmp_path: Path, kind: str,
    said: str,
) -> None:  # fmt: skip
    good = register_champion(trained, registry, tmp_path / "1")
    champion = Champion(settings, load_spec(), lambda: registry)
    champion.refresh()
    folder = tmp_path / "bad"
    shutil.copytree(registry.fetch(good, settings.model_cache), folder / "artifact")
    _poison(folder / "artifact", kind)
    digest = hashlib.sha256((folder / "artifact/manifest.json").read_bytes()).hexdigest()
    client = MlflowClient(settings.mlflow_url)
    run = client.create_run(client.get_run(good.run_id).info.experiment_id)
    client.log_artifacts(run.info.run_id, str(folder))
    bad = client.create_model_version(
        good.name, run.info.artifact_uri, run.info.run_id,
        tags={"presagio.artifact_sha256": digest},
    )  # fmt: skip
    client.set_registered_model_alias(good.name, "champion", bad.version)
    champion.refresh()
    assert (champion.served.version, champion.served.degraded) == (good.version, True)
    assert said in (champion.reason or "")


def test_mlflow_wakes_the_api_by_its_signed_webhook(
    serve: Serve, settings: Settings, registry: Registry, trained: TrainedModel, tmp_path: Path
) -> None:
    secret = SecretStr("the webhook's secret")
    slow = settings.model_copy(update={"registry_poll_s": 3600.0, "mlflow_webhook_secret": secret})
    with serve(slow) as client:
        provision_webhook(slow.model_copy(update={"api_url": str(client.base_url).rstrip("/")}))
        registered = register_champion(trained, registry, tmp_path / "1")
        ready = _wait(client, lambda r: r["version"] == registered.version)
        assert ready["degraded"] is False


def test_a_webhook_that_mlflow_did_not_sign_wakes_nobody(serve: Serve, settings: Settings) -> None:
    def signed(moment: int, raw: bytes, key: bytes) -> dict[str, str]:
        content = f"id.{moment}.".encode() + raw
        coded = base64.b64encode(hmac.digest(key, content, "sha256")).decode()
        return {
            "X-MLflow-Signature": f"v1,{coded}", "X-MLflow-Delivery-Id": "id",
            "X-MLflow-Timestamp": str(moment),
        }  # fmt: skip

    raw, now = b"{}", int(time.time())
    own = settings.model_copy(update={"mlflow_webhook_secret": SecretStr("secret")})
    with serve(own) as client:

        def status(headers: dict[str, str]) -> int:
            return client.post("/model/webhook", content=raw, headers=headers).status_code

        assert status(signed(now, raw, b"secret")) == 202
        for bad in (
            {},
            signed(now, raw, b"another"),
            signed(now, b"{ }", b"secret"),
            signed(now - 3600, raw, b"secret"),
            signed(now, raw, b"secret") | {"X-MLflow-Timestamp": str(now + 1)},
            signed(now, raw, b"secret") | {"X-MLflow-Timestamp": "x"},
        ):
            assert status(bad) == 401
    with serve(settings) as client:
        assert client.post("/model/webhook", headers=signed(now, b"", b"")).status_code == 401


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


def test_a_registry_that_says_nothing_keeps_the_api_from_ready_not_from_live(
    settings: Settings,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"http://127.0.0.1:{mute.getsockname()[1]}"
        with serve_app(settings.model_copy(update={"mlflow_url": url}), ready=False) as client:
            assert client.get("/health/live").json() == {"status": "live"}
            starting = client.get("/health/ready")
            assert starting.status_code == 503
            assert starting.json()["type"] == "urn:presagio:problem:starting"
            assert client.get("/v2/health/ready").status_code == 503
            began = time.monotonic()
            while (ready := client.get("/health/ready")).status_code == 503:
                time.sleep(0.05)
                assert time.monotonic() - began < 10
            assert (ready.json()["source"], ready.json()["degraded"]) == ("fallback", True)


def test_the_model_says_what_it_is(serve: Serve, settings: Settings) -> None:
    with serve(settings) as client:
        described = client.get("/model").raise_for_status().json()
        page = client.get("/model/card").raise_for_status()
    assert described["digest"].startswith(described["version"])
    assert described["card"]["test"]["f1"] > 0.8
    assert page.headers["content-type"].startswith("text/html")
    assert f"{described['card']['test']['f1']:.3f}" in page.text
    assert [worker["version"] for worker in described["workers"]] == [described["version"]]


def test_the_versions_in_the_registry_are_listed(
    serve: Serve, settings: Settings, registry: Registry, trained: TrainedModel, tmp_path: Path
) -> None:
    registered = register_champion(trained, registry, tmp_path / "1")
    with serve(settings) as client:
        said = client.get("/models").raise_for_status().json()
        reloaded = client.post("/model/reload").raise_for_status().json()
    (only,) = said["versions"]
    assert (said["model"], only["version"]) == (registered.name, registered.version)
    assert (only["aliases"], only["digest"]) == (["challenger", "champion"], registered.digest)
    assert only["figures"]["test_f1"] == pytest.approx(trained.evaluation.test.f1)
    assert (reloaded["version"], reloaded["degraded"]) == (registered.version, False)
