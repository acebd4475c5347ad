"""A worker is ready when it is warm: its first answers are as fast as all others."""

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from pydantic import SecretStr

from presagio.machine.spec import MachineSpec
from presagio.serving.warmup import Warmup
from tests.conftest import free_ports
from tests.serving.conftest import SECRETS, Serve, alone


def test_one_step_that_fails_keeps_none_from_running() -> None:
    ran: list[str] = []

    def fail() -> None:
        raise OSError("no space left on device")

    warmup = Warmup(lambda: ran.append("a"), fail, lambda: ran.append("b"), remote=fail)
    assert not warmup.done
    asyncio.run(warmup.run())
    assert warmup.done
    assert ran == ["a", "b"]


def test_a_server_that_hangs_delays_readiness_no_longer_than_the_limit() -> None:
    hanging = threading.Event()
    warmup = Warmup(remote=hanging.wait, limit_s=0.05)

    async def warm_up() -> bool:
        await warmup.run()
        done = warmup.done
        hanging.set()
        return done

    assert asyncio.run(warm_up())


class _Store(ThreadingHTTPServer):
    """An S3 server that answers when it is told to."""

    daemon_threads = True

    def __init__(self) -> None:
        self.answers, self.asked = threading.Event(), threading.Event()
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: _Store

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()

    def do_HEAD(self) -> None:
        self.server.asked.set()
        self.server.answers.wait(30)
        self.send_response(404)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        pass


@pytest.fixture
def store() -> Iterator[_Store]:
    server = _Store()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.answers.set()
    server.shutdown()
    thread.join()
    server.server_close()


def test_until_it_is_warm_a_worker_answers_and_is_not_ready(
    serve: Serve, store: _Store, spec: MachineSpec, tmp_path: Path
) -> None:
    settings = alone(
        tmp_path, s3_endpoint=f"http://127.0.0.1:{store.server_port}", s3_access_key=SecretStr("a"),
        s3_secret_key=SecretStr("b"), record_seconds=3600,
    )  # fmt: skip
    with serve(settings, ready=False) as client:  # type: ignore[call-arg]
        assert store.asked.wait(30)
        assert client.get("/health/live").status_code == 200
        waiting = client.get("/health/ready")
        assert waiting.status_code == 503
        assert waiting.json()["type"] == "urn:presagio:problem:warming-up"
        assert client.get("/v2/health/ready").status_code == 503
        body = {"request_id": 1, "features": dict(spec.example)}
        assert client.post("/predict", json=body).status_code == 200
        store.answers.set()
        until = time.monotonic() + 30
        while client.get("/health/ready").status_code != 200:
            assert time.monotonic() < until
            time.sleep(0.02)
        assert client.get("/v2/health/ready").status_code == 200


# Runs the API in a process of its own; prints the modules that were imported after it was ready.
_IMPORTS = """
import gc, http.client, json, os, socket, sys, threading, time
import uvicorn
from presagio.serving.auth.tokens import Authority, SCOPES
from presagio.serving.worker import make_app, server_options
from presagio.settings import load_settings

settings = load_settings()
listener = socket.create_server(("127.0.0.1", 0))
config = uvicorn.Config(make_app(), **server_options())
server = uvicorn.Server(config)
thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
thread.start()
token, _ = Authority(settings).issue("tests", list(SCOPES))
client = http.client.HTTPConnection("127.0.0.1", listener.getsockname()[1], timeout=30)

def ask(method, path, body=None):
    client.request(method, path, body, {"Authorization": f"Bearer {token}"})
    response = client.getresponse()
    return response.status, response.read()

while ask("GET", "/health/ready")[0] != 200:
    time.sleep(0.02)
before, frozen = set(sys.modules), gc.get_freeze_count()
for path in ("/predict", "/predict?explain=true"):
    status, answer = ask("POST", path, os.environ["BODY"])
    assert status == 200, answer
until = time.monotonic() + 20
while b'presagio_recorded_predictions_total{fleet="ai4i2020"} 2.0' not in ask("GET", "/metrics")[1]:
    assert time.monotonic() < until, ask("GET", "/metrics")[1].decode()
    time.sleep(0.05)
after = set(sys.modules)
server.should_exit = True
thread.join()
print(json.dumps({"imported": sorted(after - before), "frozen": frozen}))
"""


def test_nothing_is_imported_after_a_worker_is_ready_and_what_is_there_is_not_collected_again(
    store: _Store, spec: MachineSpec, tmp_path: Path
) -> None:
    store.answers.set()
    environment = {
        "BODY": json.dumps({"request_id": 1, "features": dict(spec.example)}),
        "PRESAGIO_HOME": str(tmp_path),
        "PRESAGIO_MLFLOW_URL": free_ports().url("mlflow"),
        "PRESAGIO_S3_ENDPOINT": f"http://127.0.0.1:{store.server_port}",
        "PRESAGIO_S3_ACCESS_KEY": "a",
        "PRESAGIO_S3_SECRET_KEY": "b",
        "PRESAGIO_RECORD_SECONDS": "0.5",
    } | {f"PRESAGIO_{name.upper()}": value.get_secret_value() for name, value in SECRETS.items()}
    done = subprocess.run(
        [sys.executable, "-c", _IMPORTS], env=os.environ | environment, capture_output=True,
        text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert not found["imported"], found
    # Or each full collection would go through all of these.
    assert found["frozen"] > 100_000


def test_a_store_that_is_away_does_not_keep_a_worker_from_being_ready(
    serve: Serve, tmp_path: Path
) -> None:
    settings = alone(
        tmp_path, s3_endpoint=free_ports().url("s3"), s3_access_key=SecretStr("a"),
        s3_secret_key=SecretStr("b"), record_seconds=3600,
    )  # fmt: skip
    with serve(settings) as client:
        assert client.get("/health/ready").json()["status"] == "ready"
