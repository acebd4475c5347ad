"""The API follows the champion of a registry that anybody may write to, and outlives what comes."""

import base64
import hmac
import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from presagio.errors import RegistryError
from presagio.inference.predictor import fallback_folder
from presagio.machine.spec import MachineSpec
from presagio.registry.reader import RegistryReader
from presagio.serving.champion.holder import Champion
from presagio.settings import Settings
from tests.inference.broken import BROKEN, LARGE, make_artifact
from tests.registry.liar import MODEL, Handler, Registry, says, serve_registry
from tests.registry.test_lies import LIES
from tests.serving.conftest import serve_app

SECRET = "the webhook's secret"


class Api:
    """One API for all tests here, which follows a registry of ours."""

    def __init__(self, client: httpx.Client, registry: Registry) -> None:
        self.client, self.registry = client, registry

    def ready(self) -> dict[str, Any]:
        return dict(self.client.get("/health/ready").raise_for_status().json())

    def wait(self, fine: Callable[[dict[str, Any]], bool], limit_s: float = 60.0) -> dict[str, Any]:
        deadline = time.monotonic() + limit_s
        while not fine(ready := self.ready()):
            assert time.monotonic() < deadline, ready
            time.sleep(0.01)
        return ready

    def take(self, number: str) -> None:
        """Name a version champion, and wait until it is served."""
        self.registry.champion, self.registry.lie = number, None
        ready = self.wait(lambda r: r["version"] == number and not r["degraded"])
        assert (ready["source"], ready["reason"]) == ("registry", None)

    def metric(self, name: str) -> float:
        lines = self.client.get("/metrics").raise_for_status().text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def _settings(registry: Registry, home: Path, **changes: Any) -> Settings:
    return Settings(
        home=home, model_name=MODEL, mlflow_url=registry.url, registry_poll_s=0.02,
        mlflow_timeout_s=1, mlflow_download_s=2.0, mlflow_download_bytes=16 << 20,
        mlflow_webhook_secret=SecretStr(SECRET), record_predictions=False,
    ).model_copy(update=changes)  # fmt: skip


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with serve_registry() as registry:
        for number in "12":
            registry.champion = registry.register(fallback_folder(), run_id=f"good{number}")
        home = tmp_path_factory.mktemp("home")
        with serve_app(_settings(registry, home)) as client:
            api = Api(client, registry)
            api.take("1")
            api.take("2")
            yield api


@pytest.mark.parametrize("kind", LIES)
def test_a_lying_registry_is_outlived(api: Api, kind: str) -> None:
    api.registry.lie = LIES[kind](api.registry)
    # Lies about runs and files are heard by those who want another version.
    api.registry.champion = api.registry.register(fallback_folder())
    said = ("MLflow cannot", "artifacts are at")
    ready = api.wait(lambda r: r["degraded"] and r["reason"].startswith(said))
    assert ready["version"] in {"1", "2"}
    api.take("2" if ready["version"] == "1" else "1")


# Larger than a manifest may be: it is not even fetched, which is no fault found in an artifact.
_TOO_LARGE = "a manifest of 5 megabytes"
# Each takes a process; all of them are refused without one in tests/inference/test_broken.py.
TRIED = {
    kind: change
    for i, (kind, change) in enumerate(BROKEN.items())
    if i % 5 < 3 and kind != _TOO_LARGE
} | LARGE


@pytest.mark.parametrize("kind", TRIED)
def test_a_broken_artifact_is_refused_and_the_next_champion_taken(
    api: Api, kind: str, tmp_path: Path
) -> None:
    served, swaps = api.ready()["version"], api.metric("presagio_swaps_total")
    folder = make_artifact(tmp_path / "artifact", TRIED[kind])
    api.registry.champion = api.registry.register(folder)
    ready = api.wait(lambda r: r["degraded"] and "MLflow cannot" not in r["reason"])
    assert ready["version"] == served
    assert "fault of Presagio" not in ready["reason"]
    assert len(ready["reason"]) < 2000
    assert api.metric("presagio_swaps_total") == swaps + 1
    api.take("2" if served == "1" else "1")


def test_a_file_that_is_too_large_is_not_fetched(api: Api, tmp_path: Path) -> None:
    served = api.ready()["version"]
    folder = make_artifact(tmp_path / "artifact", BROKEN[_TOO_LARGE])
    api.registry.champion = api.registry.register(folder)
    ready = api.wait(lambda r: r["degraded"])
    assert ready["version"] == served
    assert "is larger than 4194304 bytes" in ready["reason"]
    api.take("2" if served == "1" else "1")


def test_each_fault_is_logged_once_and_every_look_counted(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    unavailable = 'presagio_registry_looks_total{fleet="ai4i2020",result="unavailable"}'
    for body in (b"{}", b"[]"):
        caplog.clear()
        before = api.metric(unavailable)
        api.registry.lie = says("registered-models/alias", body)
        deadline = time.monotonic() + 60
        while api.metric(unavailable) < before + 5:
            assert time.monotonic() < deadline
        logged = [r for r in caplog.records if r.name == "presagio.serving.champion.holder"]
        assert [record.levelno for record in logged] == [logging.WARNING]
        assert "is not one of MLflow's" in logged[0].getMessage()
    api.take("1")


def test_a_bug_ends_no_loop(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    class PanicError(BaseException):
        """What libraries in Rust raise; it is no Exception."""

    def panics(*_: Any) -> Any:
        raise PanicError("at the disco")

    with monkeypatch.context() as patch:
        patch.setattr(RegistryReader, "resolve", panics)
        ready = api.wait(lambda r: r["degraded"])
        assert "a fault of Presagio" in ready["reason"]
        assert "PanicError: at the disco" in ready["reason"]
    assert api.metric('presagio_registry_looks_total{fleet="ai4i2020",result="failed"}') > 0
    api.take("2")


def _signed(body: bytes) -> dict[str, str]:
    content = f"id.{int(time.time())}.".encode() + body
    coded = base64.b64encode(hmac.digest(SECRET.encode(), content, "sha256")).decode()
    return {
        "X-MLflow-Signature": f"v1,{coded}", "X-MLflow-Delivery-Id": "id",
        "X-MLflow-Timestamp": str(int(time.time())),
    }  # fmt: skip


def _hangs(registry: Registry) -> threading.Event:
    """Have the registry take a request and not answer, until the event is set."""
    going_on = threading.Event()

    def lie(handler: Handler) -> bool:
        del handler
        going_on.wait(60)
        return True

    registry.lie = lie
    return going_on


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Api]:
    """An API that looks when it is woken, patient with a registry that hangs."""
    with serve_registry() as registry:
        registry.champion = registry.register(fallback_folder())
        settings = _settings(
            registry, tmp_path, registry_poll_s=3600.0, mlflow_timeout_s=60,
            api_max_concurrency=64,
        )  # fmt: skip
        with serve_app(settings) as client:
            api = Api(client, registry)
            api.wait(lambda r: not r["degraded"])
            yield api


def test_webhooks_share_one_look_and_wait_for_none(slow: Api) -> None:
    going_on, asked = _hangs(slow.registry), len(slow.registry.asked)
    raw = b"{}"

    def send(_: int) -> int:
        return slow.client.post("/model/webhook", content=raw, headers=_signed(raw)).status_code

    with ThreadPoolExecutor(20) as pool:
        assert set(pool.map(send, range(20))) == {202}
    # All are answered, and so is whoever asks something else, while the one look hangs.
    assert slow.client.get("/models", timeout=30, params={"limit": 0}).status_code == 422
    deadline = time.monotonic() + 30
    while len(slow.registry.asked) == asked:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert len(slow.registry.asked) == asked + 1
    slow.registry.lie = None
    going_on.set()
    # What came while it hung is one look more, not twenty.
    slow.wait(lambda r: not r["degraded"] and len(slow.registry.asked) >= asked + 2)
    time.sleep(0.5)
    assert len(slow.registry.asked) <= asked + 3


def test_reloads_wait_together_and_hold_no_thread(slow: Api) -> None:
    going_on = _hangs(slow.registry)
    with ThreadPoolExecutor(20) as pool:
        reloads = [pool.submit(slow.client.post, "/model/reload") for _ in range(20)]
        assert slow.client.get("/metrics").status_code == 200
        slow.registry.lie = None
        going_on.set()
        answers = [reload.result() for reload in reloads]
    assert {answer.status_code for answer in answers} == {200}
    # Whose look was the one that was cut off is told so; the next one is answered.
    assert slow.client.post("/model/reload").json()["degraded"] is False


def test_a_look_that_hangs_is_degraded_with_the_reason(tmp_path: Path) -> None:
    with serve_registry() as registry:
        registry.champion = registry.register(fallback_folder())
        settings = _settings(registry, tmp_path, mlflow_timeout_s=60, registry_stale_s=0.5)
        with serve_app(settings) as client:
            api = Api(client, registry)
            api.wait(lambda r: not r["degraded"])
            going_on = _hangs(registry)
            ready = api.wait(lambda r: r["degraded"])
            assert ready["reason"].startswith("no look at the registry has ended for more than")
            assert (ready["version"], ready["source"]) == ("1", "registry")
            assert api.metric("presagio_registry_look_age_seconds") > 0.5
            assert api.metric("presagio_degraded") == 1
            registry.lie = None
            going_on.set()
            api.wait(lambda r: not r["degraded"] and r["reason"] is None)
            assert api.metric("presagio_registry_look_age_seconds") < 60


@pytest.mark.parametrize(
    "note",
    [
        b"", b"[]", b"{", b"[" * 100_000, b"\xff", b'{"name": "svm_lies"}',
        b'{"folder": "../../victim", "name": "svm_lies", "digest": "x"}', b" " * (1 << 20),
    ],
)  # fmt: skip
def test_an_odd_note_of_the_last_good_model_stops_no_start(
    tmp_path: Path, spec: MachineSpec, note: bytes
) -> None:
    cache = tmp_path / "models"
    cache.mkdir()
    (cache / "last-good.json").write_bytes(note)
    settings = Settings(home=tmp_path, model_name=MODEL)

    def no_registry() -> RegistryReader:
        raise RegistryError("not asked here")

    champion = Champion(settings, spec, no_registry)
    assert champion.served.source == "fallback"
