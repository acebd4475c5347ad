"""Servers of a benchmark: started with a log that is kept when they fail, asked by wrk, ended."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from bench.report import ROOT
from presagio.inference.artifact import GRAPH
from presagio.inference.predictor import fallback_folder, load_predictor
from presagio.settings import Settings, load_settings
from presagio.stack.credentials import load_credentials
from presagio.stack.layout import Layout
from presagio.stack.ports import Ports
from presagio.stack.postgres import create_cluster
from presagio.stack.services import build_services
from presagio.stack.supervisor import Supervisor

BASELINES_CODE = ROOT / "bench" / "baselines"
READING = {
    "airtemperature_k": 300.1, "process_temperature_k": 310.3, "rotational_speed_rpm": 1550.0,
    "torque_nm": 38.0, "tool_wear_min": 20.0, "type_l": True, "type_m": False,
}  # fmt: skip
_TAIL_LINES = 30
_START_LIMIT_S = 120.0
_SERVICES = frozenset({"postgres", "s3", "databases", "buckets", "mlflow"})
_LUA = """
wrk.method = "POST"
wrk.body = [==[{body}]==]
{headers}
"""


class ServerError(Exception):
    """A server did not start; says where its log is, and how it ends."""

    def __init__(self, name: str, what: str, log: Path) -> None:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        tail = "\n".join(f"  {line}" for line in lines[-_TAIL_LINES:])
        super().__init__(f"{name} {what}; its log, {log}, ends:\n{tail or '  (nothing)'}")


@dataclass(frozen=True)
class Load:
    """What wrk saw."""

    requests: float
    p50_ms: float
    p99_ms: float
    failed: int


@dataclass(frozen=True)
class Server:
    """A server and what one row is to it; it is there when ``ready`` answers with 200."""

    name: str
    command: Sequence[str]
    port: int
    path: str = "/predict"
    ready: str = "/predict"
    # Any answer will do where a server has no route that says that it is ready.
    ready_status: tuple[int, ...] = (200,)
    body: Mapping[str, Any] = field(default_factory=lambda: {"request_id": 1, "features": READING})
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Where one row is asked for."""
        return f"http://127.0.0.1:{self.port}{self.path}"


def _milliseconds(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", text).groups()  # type: ignore[union-attr]
    return float(number) * {"us": 1e-3, "ms": 1.0, "s": 1e3}[unit]


def ask(
    server: Server, headers: Mapping[str, str], seconds: int, *, before: Sequence[str] = ()
) -> Load:
    """Ask a server for one row again and again, over 16 connections.

    ``before`` stands before wrk's command, such as what binds it to processors.
    """
    if shutil.which("wrk") is None:
        raise SystemExit("this benchmark asks with wrk, which is missing: apt-get install wrk")
    lines = [f'wrk.headers["{name}"] = "{value}"' for name, value in headers.items()]
    script = _LUA.format(body=json.dumps(server.body), headers="\n".join(lines))
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script)
        file.flush()
        output = subprocess.run(
            [
                *before, "wrk", "-t1", "-c16", f"-d{seconds}s", "--latency", "-s", file.name,
                server.url,
            ],
            check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    found = {
        name: _milliseconds(value)
        for name, value in re.findall(r"(?m)^ +(50|99)% +(\S+) *$", output)
    }
    rate = re.search(r"Requests/sec:\s+([\d.]+)", output)
    assert rate is not None, output
    load = Load(float(rate[1]), found["50"], found["99"], int(failed[1]) if failed else 0)
    assert not load.failed, f"{server.name}: {load}"
    return load


def _wait(server: Server, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + _START_LIMIT_S
    with httpx.Client(timeout=5) as client:
        while True:
            try:
                answer = client.get(f"http://127.0.0.1:{server.port}{server.ready}")
                if answer.status_code in server.ready_status:
                    return
            except httpx.HTTPError:
                pass
            if process.poll() is not None:
                raise ServerError(server.name, f"ended with status {process.returncode}", log)
            if time.monotonic() > until:
                raise ServerError(server.name, f"was not there in {_START_LIMIT_S:g} s", log)
            time.sleep(0.01)


@contextmanager
def running(server: Server) -> Iterator[psutil.Process]:
    """Run a server until the block ends.

    Raises
    ------
    ServerError
        If it does not start. Its log is kept.
    """
    environment = os.environ | {
        "MODEL_ONNX": str(fallback_folder() / GRAPH),
        "MODEL_THRESHOLD": str(load_predictor(fallback_folder()).artifact.manifest.threshold),
        "PYTHONPATH": f"{BASELINES_CODE}:{ROOT}:{ROOT / 'src'}", "BENTOML_DO_NOT_TRACK": "True",
        "PORT": str(server.port),
    } | dict(server.env)  # fmt: skip
    handle, name = tempfile.mkstemp(prefix="presagio-bench-", suffix=".log")
    log = Path(name)
    with os.fdopen(handle, "wb") as output:
        process = subprocess.Popen(
            server.command, env=environment, stdout=output, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
    try:
        _wait(server, process, log)
        yield psutil.Process(process.pid)
        log.unlink()
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    parent = psutil.Process(process.pid)
    family = [parent, *parent.children(recursive=True)]
    for member in family:
        member.terminate()
    _, alive = psutil.wait_procs(family, timeout=15)
    for member in alive:
        member.kill()
    process.wait()


@contextmanager
def object_store(home: Path, ports: Ports) -> Iterator[None]:
    """Run the S3 server alone: answers are recorded, as in service."""
    layout = Layout(home)
    layout.create()
    built = build_services(load_settings(home), layout, ports, load_credentials(layout))
    store, buckets = (next(s for s in built if s.name == name) for name in ("s3", "buckets"))
    process = subprocess.Popen(store.command, env=dict(store.env), stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 30
        while subprocess.run(buckets.command, env=dict(buckets.env), check=False).returncode:
            assert time.monotonic() < until, "the object store does not answer"
        yield
    finally:
        process.terminate()
        process.wait()


@contextmanager
def services(home: Path, ports: Ports, names: frozenset[str] = _SERVICES) -> Iterator[Settings]:
    """Run PostgreSQL, the object store and MLflow, or some of them; no Airflow, and no API."""
    layout = Layout(home)
    layout.create()
    credentials = load_credentials(layout)
    create_cluster(layout, credentials.postgres_password)
    built = build_services(load_settings(home), layout, ports, credentials)
    healthy = threading.Event()
    supervisor = Supervisor(
        [service for service in built if service.name in names],
        layout,
        lambda status: healthy.set() if status.phase == "healthy" else None,
    )
    thread = threading.Thread(target=supervisor.run)
    thread.start()
    try:
        assert healthy.wait(120), "the services are not healthy"
        yield load_settings(home)
    finally:
        supervisor.request_stop()
        thread.join()


def presagio(home: Path, ports: Ports) -> Server:
    """Return this API with everything on, as it is served."""
    return Server(
        "Presagio",
        [sys.executable, "-m", "presagio", "serve", "--port", str(ports.api), "--home", str(home)],
        ports.api, ready="/health/ready", env={"PRESAGIO_HOME": str(home)},
    )  # fmt: skip


def limit(port: int) -> Server:
    """Return FastAPI with the models of our requests and answers, and nothing behind them."""
    uvicorn = [sys.executable, "-m", "uvicorn", "--no-access-log", "--log-level", "warning"]
    return Server(
        "limit: FastAPI, no model", [*uvicorn, "--port", str(port), "limit:app"], port,
        ready_status=(405,),
    )  # fmt: skip
