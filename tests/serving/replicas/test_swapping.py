"""Replicas swap at one moment: nobody sees the old version after the new one, none fails."""

import contextlib
import json
import re
import shutil
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import httpx
import pytest

from presagio.inference.trial import try_once
from presagio.machine.spec import MachineSpec
from presagio.registry.versions import RegisteredVersion
from presagio.registry.writer import Registry
from presagio.settings import Settings
from presagio.training.train import TrainedModel
from tests.champions import register_version
from tests.extent import NIGHTLY
from tests.serving.replicas.conftest import MakeReplica, Replica

# Half a minute and more, the longer the more others are at work.
pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(600)]

_VERSION = re.compile(rb'"version":"(\d+)"')
_REPLICA = re.compile(rb"x-presagio-replica: (\S+)")
_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
# The whole of it is 30,000 requests and ten swaps, which take a minute and a half.
_REQUESTS, _SWAPS = (30_000, 10) if NIGHTLY else (3_000, 2)
# So that there is some of the processors left for those who load new versions.
_PAUSE_S = 0.005 if NIGHTLY else 0.015


class Client(threading.Thread):
    """Asks one request after the other, on a connection that is kept, and keeps what came."""

    def __init__(self, port: int, request: bytes) -> None:
        super().__init__(daemon=True)
        self._port, self._request = port, request
        self.ending = threading.Event()
        # When an answer came, from which replica, of which version.
        self.answers: list[tuple[float, str, int]] = []
        self.failed: list[str] = []

    def run(self) -> None:
        line = None
        while not self.ending.is_set():
            try:
                line = line or socket.create_connection(("127.0.0.1", self._port), 10)
                self._ask(line)
            except Exception as err:  # noqa: BLE001 - whatever it is, the request failed
                self.failed.append(repr(err))
                line = None
        if line is not None:
            line.close()

    def _ask(self, line: socket.socket) -> None:
        line.sendall(self._request)
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self._received(line)
        head, _, body = answer.partition(b"\r\n\r\n")
        came, length = time.monotonic(), int(_LENGTH.search(head)[1])  # type: ignore[index]
        while len(body) < length:
            body += self._received(line)
        if not head.startswith(b"HTTP/1.1 200"):
            raise ValueError(head, body)
        time.sleep(_PAUSE_S)
        replica, version = _REPLICA.search(head), _VERSION.search(body)
        assert replica is not None
        assert version is not None
        self.answers.append((came, replica[1].decode(), int(version[1])))

    @staticmethod
    def _received(line: socket.socket) -> bytes:
        if not (received := line.recv(1 << 16)):
            raise ConnectionError("closed in the middle")
        return received


class Load:
    """Clients that ask at the same time."""

    def __init__(self, port: int, replica: Replica, spec: MachineSpec, clients: int = 8) -> None:
        body = json.dumps({"request_id": 1, "features": spec.example}).encode()
        head = (
            f"POST /predict HTTP/1.1\r\nHost: api\r\nContent-Type: application/json\r\n"
            f"Authorization: {replica.headers['Authorization']}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        self.clients = [Client(port, head.encode() + body) for _ in range(clients)]

    def __enter__(self) -> Self:
        for client in self.clients:
            client.start()
        return self

    def __exit__(self, *_error: object) -> None:
        for client in self.clients:
            client.ending.set()
        for client in self.clients:
            client.join(30)

    @property
    def count(self) -> int:
        return sum(len(client.answers) for client in self.clients)

    def wait_for(self, version: int, limit_s: float = 60.0) -> None:
        """Wait until a client has got a version."""
        deadline = time.monotonic() + limit_s
        while self.clients[0].answers[-1][2] != version:
            assert time.monotonic() < deadline, version
            time.sleep(0.01)

    @property
    def failed(self) -> list[str]:
        return [failure for client in self.clients for failure in client.failed]

    def went_back(self) -> list[tuple[int, int]]:
        """Give where a client got an older version after a newer one."""
        return [
            (before[2], after[2])
            for client in self.clients
            for before, after in zip(client.answers, client.answers[1:], strict=False)
            if after[2] < before[2]
        ]

    def skew(self, version: int) -> float:
        """Give the seconds from the first answer of a version to the last one of an older one."""
        answers = [answer for client in self.clients for answer in client.answers]
        first = min(at for at, _, found in answers if found == version)
        return max((at for at, _, found in answers if found < version), default=first) - first


def _rolling_restart(replicas: list[Replica], faults: list[BaseException]) -> None:
    try:
        for replica in replicas:
            replica.end()
            replica.start()
            replica.wait()
            # Until the balancer has seen that.
            time.sleep(1.5)
    except BaseException as err:  # noqa: BLE001 - raised by the test below
        faults.append(err)


def _fetch_and_try(
    versions: list[RegisteredVersion], registry: Registry, settings: Settings
) -> None:
    """Fill a host's cache: all versions are the same bytes, which are tried once."""
    folders = [registry.fetch(version, settings.model_cache) for version in versions]
    try_once(folders[0], digest=str(versions[0].digest), limit_s=200.0)
    for folder in folders[1:]:
        shutil.copy(folders[0] / "tried", folder / "tried")


def _reload_one(replicas: list[Replica]) -> None:
    """Reach one replica, as a webhook does; the next one where the first is being restarted."""
    for one in replicas:
        with contextlib.suppress(httpx.HTTPError):
            one.ask("POST", "/model/reload").raise_for_status()
            return


def test_a_rolling_restart_and_swaps_fail_no_request_and_no_client_goes_back(
    replica: MakeReplica, balance: Callable[[list[Replica]], int], registry: Registry,
    trained: TrainedModel, tmp_path: Path, spec: MachineSpec, settings: Settings,
) -> None:  # fmt: skip
    versions = [register_version(trained, registry, tmp_path / f"v{i}") for i in range(_SWAPS + 1)]
    _fetch_and_try(versions, registry, settings.model_copy(update={"home": tmp_path / "host"}))
    registry.assign("champion", versions[0])
    # On one host, whose cache has all versions.
    replicas = [replica(f"replica-{i}", host="host", api_drain_seconds=1.5) for i in range(3)]
    for one in replicas:
        one.wait(lambda ready: ready["version"] == versions[0].version)
    faults: list[BaseException] = []
    restart = threading.Thread(target=_rolling_restart, args=(replicas, faults))
    with Load(balance(replicas), replicas[0], spec) as load:
        restart.start()
        for number, version in enumerate(versions[1:]):
            registry.assign("champion", version)
            _reload_one(replicas[number % 3 :] + replicas[: number % 3])
            load.wait_for(int(version.version))
        restart.join()
        while load.count < _REQUESTS:
            time.sleep(0.05)
    assert faults == []
    assert load.failed == []
    assert load.went_back() == []
    skews = [load.skew(int(version.version)) for version in versions[1:]]
    print(f"{load.count} requests, skews of {[round(s * 1e3, 1) for s in skews]} ms")
    assert max(skews) <= 1.0
    served = {replica for client in load.clients for _, replica, _ in client.answers}
    assert served == {"replica-0", "replica-1", "replica-2"}
