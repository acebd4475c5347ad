"""Several workers behind one port: they swap together, and one that is killed comes back."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import httpx
import psutil
import pytest
from mlflow import MlflowClient

from presagio.machine.spec import MachineSpec
from presagio.registry.writer import Registry, open_registry
from presagio.serving.auth.tokens import SCOPES, Authority
from presagio.serving.champion.board import Board
from presagio.settings import Settings
from presagio.storage.objects import open_store
from presagio.training.train import TrainedModel
from tests.champions import register_champion, register_version
from tests.conftest import RunningServices, free_ports
from tests.pumps import pumps_called
from tests.serving.conftest import with_secrets

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest.fixture
def settings(services: RunningServices, tmp_path: Path) -> Settings:
    name = f"workers-{uuid4().hex[:8]}"
    open_store(services.settings).create_bucket(name)
    own = {"model_name": name, "experiment": name, "data_bucket": name, "home": tmp_path}
    return with_secrets(services.settings.model_copy(update=own))


def _environment(settings: Settings) -> dict[str, str]:
    wanted = (
        "home", "model_name", "mlflow_url", "s3_endpoint", "registry_poll_s", "data_bucket",
    )  # fmt: skip
    own = {f"PRESAGIO_{name.upper()}": str(getattr(settings, name)) for name in wanted}
    for name in ("token_secret", "client_secret", "s3_access_key", "s3_secret_key"):
        own[f"PRESAGIO_{name.upper()}"] = getattr(settings, name).get_secret_value()
    return os.environ | own


class Api:
    """``presagio serve`` as a process, asked as a client does."""

    def __init__(self, settings: Settings, workers: int) -> None:
        self.port = free_ports().api
        command = [sys.executable, "-m", "presagio", "serve", "--port", str(self.port)]
        self.process = subprocess.Popen(
            [*command, "--workers", str(workers)], env=_environment(settings),
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        token, _ = Authority(settings).issue("tests", list(SCOPES))
        self.url, self.headers = (
            f"http://127.0.0.1:{self.port}",
            {"Authorization": f"Bearer {token}"},
        )

    def get(self, path: str) -> dict[str, Any]:
        answer = httpx.get(self.url + path, headers=self.headers, timeout=10)
        return dict(answer.raise_for_status().json())

    def wait(self, fine: Callable[[dict[str, Any]], bool], limit_s: float = 30.0) -> dict[str, Any]:
        deadline, found = time.monotonic() + limit_s, {}
        while time.monotonic() < deadline:
            try:
                found = self.get("/model")
            except httpx.HTTPError:
                found = {}
            if found and fine(found):
                return found
            time.sleep(0.05)
        raise AssertionError(f"not in time: { {k: found.get(k) for k in ('version', 'workers')} }")

    def end(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)


@pytest.fixture
def api(settings: Settings, registry: Registry) -> Iterator[Api]:
    del registry
    api = Api(settings, 2)
    try:
        api.wait(lambda model: len(model["workers"]) == 2)
        yield api
    finally:
        api.end()


@pytest.fixture
def registry(settings: Settings) -> Registry:
    return open_registry(settings)


class Load:
    """Requests without end, from threads, each with a connection of its own kept alive."""

    def __init__(self, api: Api, spec: MachineSpec, threads: int = 4) -> None:
        self._api, self._body = api, {"request_id": 1, "features": dict(spec.example)}
        self.versions: Counter[str] = Counter()
        self.failed: list[str] = []
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(threads)]

    def _ask(self) -> None:
        with httpx.Client(base_url=self._api.url, headers=self._api.headers) as client:
            while not self._ending.is_set():
                try:
                    answer = client.post("/predict", json=self._body, timeout=10)
                    self.versions[answer.raise_for_status().json()["version"]] += 1
                except httpx.HTTPError as err:
                    self.failed.append(repr(err))

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join()


def test_swaps_under_load_fail_no_request_and_all_workers_agree(
    api: Api, settings: Settings, registry: Registry, trained: TrainedModel, tmp_path: Path,
    spec: MachineSpec,
) -> None:  # fmt: skip
    first = register_champion(trained, registry, tmp_path / "1")
    second = register_version(trained, registry, tmp_path / "2")
    broken = register_version(trained, registry, tmp_path / "3")
    MlflowClient(settings.mlflow_url).set_model_version_tag(
        broken.name, broken.version, "presagio.artifact_sha256", "0" * 64
    )

    def all_have(version: str) -> Callable[[dict[str, Any]], bool]:
        return lambda model: {w["version"] for w in model["workers"]} == {version}

    api.wait(all_have(first.version))
    with Load(api, spec) as load:
        for _ in range(3):
            registry.assign("champion", second)
            api.wait(all_have(second.version))
            registry.assign("champion", broken)
            api.wait(lambda model: all(w["reason"] for w in model["workers"]))
            registry.assign("champion", first)
            httpx.post(f"{api.url}/model/reload", headers=api.headers, timeout=30)
            # True at once: a reload returns when every worker has looked.
            assert all_have(first.version)(api.get("/model"))
    assert load.failed == []
    assert set(load.versions) == {first.version, second.version}
    text = httpx.get(f"{api.url}/metrics", headers=api.headers).text
    labels = f'fleet="ai4i2020",model="{first.name}",version="{first.version}"'
    assert f"presagio_model_served{{{labels}}} 2.0" in text
    assert 'presagio_swaps_total{fleet="ai4i2020",result="refused"} 6.0' in text


def test_a_killed_worker_takes_only_its_own_requests_with_it(api: Api, spec: MachineSpec) -> None:
    (victim, other) = [worker["pid"] for worker in api.get("/model")["workers"]]
    with Load(api, spec) as load:
        time.sleep(0.5)
        os.kill(victim, signal.SIGKILL)
        after = api.wait(
            lambda model: (
                len(model["workers"]) == 2 and victim not in {w["pid"] for w in model["workers"]}
            )
        )
        time.sleep(0.5)
    assert other in {worker["pid"] for worker in after["workers"]}
    # Four threads ask one request at a time each, so no more can have been in flight.
    assert len(load.failed) <= 4
    assert load.versions.total() > 100


def test_every_worker_knows_a_fleet_when_it_was_added_and_none_when_it_was_removed(
    api: Api,
) -> None:
    name = f"fans_{uuid4().hex[:8]}"
    spec = pumps_called(name)

    def statuses() -> set[int]:
        # A connection each, so that both workers are asked.
        path = f"{api.url}/fleets/{name}/model"
        return {httpx.get(path, headers=api.headers).status_code for _ in range(40)}

    # A worker that has just begun says that it does not know which fleets there are.
    deadline = time.monotonic() + 30
    while (known := statuses()) != {404} and time.monotonic() < deadline:
        time.sleep(0.1)
    assert known == {404}
    added = httpx.post(f"{api.url}/fleets", headers=api.headers, content=spec, timeout=30)
    assert added.status_code == 201, added.text
    # It has no model yet.
    assert statuses() == {503}
    assert (
        f'presagio_degraded{{fleet="{name}"}} 2.0'
        in httpx.get(f"{api.url}/metrics", headers=api.headers).text
    )
    removed = httpx.delete(f"{api.url}/fleets/{name}", headers=api.headers, timeout=30)
    assert removed.status_code == 200, removed.text
    assert statuses() == {404}


def test_a_worker_imports_nothing_that_it_does_not_need(api: Api) -> None:
    for worker in api.get("/model")["workers"]:
        process = psutil.Process(worker["pid"])
        libraries = {Path(mapped.path).parts for mapped in process.memory_maps()}
        for heavy in ("pandas", "sklearn", "airflow", "mlflow"):
            assert not any(heavy in parts for parts in libraries), heavy


def test_a_board_shows_only_who_lives(tmp_path: Path) -> None:
    board = Board(tmp_path)
    board.post(model="m", version="1", degraded=False)
    (tmp_path / "999999999.json").write_text("{}", encoding="utf-8")
    assert [worker.version for worker in board.workers()] == ["1"]
    before = board.woken()
    board.wake()
    assert board.woken() > before
    assert not board.wait_prepared("other", 0.05)
    board.leave()
    assert board.workers() == []
