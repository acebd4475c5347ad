"""Replicas of the API as processes of their own, and HAProxy in front of them."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from presagio.registry.writer import Registry, open_registry
from presagio.serving.auth.tokens import SCOPES, Authority
from presagio.settings import Settings
from presagio.storage.database import open_database
from presagio.storage.migration import migrate
from presagio.storage.objects import open_store
from tests.conftest import RunningServices, free_ports
from tests.serving.conftest import with_secrets

_CONFIGURATION = Path(__file__).parents[3] / "deploy" / "haproxy.cfg"
_SECRETS = ("token_secret", "client_secret", "s3_access_key", "s3_secret_key", "api_database_url")


@pytest.fixture
def settings(services: RunningServices, tmp_path: Path) -> Settings:
    name = f"replicas-{uuid4().hex[:8]}"
    open_store(services.settings).create_bucket(name)
    engine = open_database(services.settings)
    migrate(engine)
    engine.dispose()
    own = {
        "model_name": name, "experiment": name, "data_bucket": name, "home": tmp_path,
        "api_database_url": services.settings.database_url, "registry_poll_s": 30.0,
        # Tests run beside others, and a trial at the lowest priority.
        "model_trial_s": 100.0,
    }  # fmt: skip
    return with_secrets(services.settings.model_copy(update=own))


@pytest.fixture
def registry(settings: Settings) -> Registry:
    return open_registry(settings)


def _environment(settings: Settings, **more: object) -> dict[str, str]:
    wanted = (
        "model_name",
        "mlflow_url",
        "s3_endpoint",
        "registry_poll_s",
        "data_bucket",
        "model_trial_s",
    )
    named = {name: str(getattr(settings, name)) for name in wanted}
    for name in _SECRETS:
        named[name] = getattr(settings, name).get_secret_value()
    named |= {name: str(value) for name, value in more.items()}
    return os.environ | {f"PRESAGIO_{name.upper()}": value for name, value in named.items()}


class Replica:
    """``presagio serve`` as a process; the home stands for the host that it is on."""

    def __init__(self, settings: Settings, name: str, home: Path, **more: object) -> None:
        self._settings, self.name, self.home, self._more = settings, name, home, more
        self.port = free_ports().api
        self.url = f"http://127.0.0.1:{self.port}"
        token, _ = Authority(settings).issue("tests", list(SCOPES))
        self.headers = {"Authorization": f"Bearer {token}"}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        env = _environment(self._settings, replica=self.name, home=self.home, **self._more)
        with (self.home.parent / f"{self.name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "presagio", "serve", "--port", str(self.port)],
                env=env, stderr=log,
            )  # fmt: skip

    def end(self, how: int = signal.SIGTERM) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(30)
            self.process = None

    def get(self, path: str) -> dict[str, Any]:
        return dict(self.ask("GET", path).raise_for_status().json())

    def ask(self, method: str, path: str, **how: Any) -> httpx.Response:
        return httpx.request(method, self.url + path, headers=self.headers, timeout=30, **how)

    def wait(
        self, fine: Callable[[dict[str, Any]], bool] = bool, limit_s: float = 60.0
    ) -> dict[str, Any]:
        """Wait until it is ready, and its state is as wanted; give that state."""
        found: dict[str, Any] = {}
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.HTTPError):
                found = self.ask("GET", "/health/ready").json()
                if found.get("status") == "ready" and fine(found):
                    return found
            time.sleep(0.05)
        log = (self.home.parent / f"{self.name}.log").read_text("utf-8")
        raise AssertionError(f"not in time: {found}\n{log[-3000:]}")


MakeReplica = Callable[..., Replica]


@pytest.fixture
def replica(settings: Settings, tmp_path: Path) -> Iterator[MakeReplica]:
    """Make replicas, which are ended with the test."""
    made: list[Replica] = []

    def make(name: str, settings: Settings = settings, host: str = "", **more: object) -> Replica:
        home = tmp_path / (host or name)
        home.mkdir(exist_ok=True)
        made.append(Replica(settings, name, home, **more))
        made[-1].start()
        return made[-1]

    yield make
    for one in made:
        one.end(signal.SIGKILL)


@pytest.fixture
def balance() -> Iterator[Callable[[list[Replica]], int]]:
    """Start HAProxy, as it is documented, before three replicas; give its port."""
    if (program := shutil.which("haproxy") or shutil.which("/usr/sbin/haproxy")) is None:
        pytest.skip("needs HAProxy (apt-get install haproxy)")
    processes: list[subprocess.Popen[bytes]] = []

    def start(replicas: list[Replica]) -> int:
        port = free_ports().api
        env = {"PRESAGIO_BALANCER": f"127.0.0.1:{port}"} | {
            f"PRESAGIO_REPLICA_{i}": f"127.0.0.1:{replica.port}"
            for i, replica in enumerate(replicas, 1)
        }
        processes.append(
            subprocess.Popen([program, "-f", str(_CONFIGURATION)], env=os.environ | env)
        )
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"http://127.0.0.1:{port}/health/live").status_code == 200:
                    return port
            time.sleep(0.05)
        raise AssertionError("HAProxy does not answer")

    yield start
    for process in processes:
        process.terminate()
        process.wait(10)
