"""The API against other inference servers: same graph, same machine, same run; wrk asks.

wrk has to be installed (Debian's package ``wrk``); the rivals are installed from the package index
into environments of their own, under the folder that ``PRESAGIO_BENCH_RIVALS`` names.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import psutil

from bench.report import ROOT, table, write
from presagio.inference.artifact import GRAPH
from presagio.inference.predictor import fallback_folder, load_predictor
from presagio.machine.simulation import simulate
from presagio.machine.spec import load_spec
from presagio.orchestration.api import authorization
from presagio.settings import load_settings
from presagio.stack.credentials import load_credentials
from presagio.stack.layout import Layout
from presagio.stack.ports import Ports
from presagio.stack.services import build_services

_RIVALS = {
    "bentoml": "bentoml==1.4.39",
    "mlserver": "mlserver==1.7.1",
    "litserve": "litserve==0.2.19",
}
_CODE = ROOT / "bench" / "rivals"
_PORTS = Ports().moved(30_000)
_WARM_S, _MEASURE_S, _ROUNDS = 2, 8, 3
_BATCH_ROWS = 1_000_000
_READING = {
    "airtemperature_k": 300.1, "process_temperature_k": 310.3, "rotational_speed_rpm": 1550.0,
    "torque_nm": 38.0, "tool_wear_min": 20.0, "type_l": True, "type_m": False,
}  # fmt: skip
_LUA = """
wrk.method = "POST"
wrk.body = [==[{body}]==]
{headers}
"""


@dataclass(frozen=True)
class Load:
    """What wrk saw."""

    requests: float
    p50_ms: float
    p99_ms: float
    failed: int


@dataclass(frozen=True)
class Server:
    """A server and what one row is to it."""

    name: str
    command: Sequence[str]
    port: int
    path: str = "/predict"
    ready: str = "/predict"
    body: Mapping[str, Any] = field(default_factory=lambda: {"request_id": 1, "features": _READING})
    env: Mapping[str, str] = field(default_factory=dict)


def _milliseconds(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", text).groups()  # type: ignore[union-attr]
    return float(number) * {"us": 1e-3, "ms": 1.0, "s": 1e3}[unit]


def _wrk(
    folder: Path, url: str, body: Mapping[str, Any], headers: Mapping[str, str], s: int
) -> Load:
    script = folder / "post.lua"
    lines = [f'wrk.headers["{name}"] = "{value}"' for name, value in headers.items()]
    script.write_text(
        _LUA.format(body=json.dumps(body), headers="\n".join(lines)), encoding="utf-8"
    )
    said = subprocess.run(
        ["wrk", "-t1", "-c16", f"-d{s}s", "--latency", "-s", str(script), url],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    found = {
        name: _milliseconds(value) for name, value in re.findall(r"(?m)^ +(50|99)% +(\S+)$", said)
    }
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    assert rate is not None, said
    return Load(float(rate[1]), found["50"], found["99"], int(failed[1]) if failed else 0)


@contextmanager
def _running(server: Server) -> Iterator[psutil.Process]:
    own = os.environ | {
        "MODEL_ONNX": str(fallback_folder() / GRAPH),
        "MODEL_THRESHOLD": str(load_predictor(fallback_folder()).artifact.manifest.threshold),
        "PYTHONPATH": f"{_CODE}:{ROOT}", "BENTOML_DO_NOT_TRACK": "True", "PORT": str(server.port),
    } | dict(server.env)  # fmt: skip
    process = subprocess.Popen(
        server.command, env=own, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    watched = psutil.Process(process.pid)
    try:
        until = time.monotonic() + 60
        while True:
            try:
                httpx.get(f"http://127.0.0.1:{server.port}{server.ready}", timeout=5)
                break
            except httpx.HTTPError:
                assert process.poll() is None, f"{server.name} has ended"
                assert time.monotonic() < until, f"{server.name} does not answer"
                time.sleep(0.02)
        yield watched
    finally:
        family = [watched, *watched.children(recursive=True)]
        for member in family:
            member.terminate()
        _, alive = psutil.wait_procs(family, timeout=15)
        for member in alive:
            member.kill()
        process.wait()


def _environment(folder: Path, name: str) -> Path:
    """Install a rival, unless it is there."""
    home = folder / name
    if not (home / "bin" / "python").exists():
        uv = str(Path(sys.executable).with_name("uv"))
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(home)], check=True)
        subprocess.run(
            [uv, "pip", "install", "--quiet", "--python", str(home / "bin/python"), _RIVALS[name],
             "onnxruntime", "numpy"],
            check=True,
        )  # fmt: skip
    return home / "bin"


def _rivals(folder: Path, scratch: Path) -> list[Server]:
    mine, row = Path(sys.executable).parent, [float(value) for value in _READING.values()]
    saved = scratch / "pyfunc"
    subprocess.run(
        [sys.executable, str(_CODE / "pyfunc.py"), str(saved)],
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    seldon = scratch / "mlserver"
    seldon.mkdir()
    (seldon / "settings.json").write_text(json.dumps({
        "host": "127.0.0.1", "http_port": 38901, "grpc_port": 38902, "metrics_port": 38903,
        "debug": False, "parallel_workers": 0,
    }), encoding="utf-8")  # fmt: skip
    (seldon / "model-settings.json").write_text(
        json.dumps({"name": "svm", "implementation": "seldon.Runtime"}), encoding="utf-8"
    )
    tensor = {"name": "inputs", "shape": [1, 7], "datatype": "FP64", "data": row}
    uvicorn = [sys.executable, "-m", "uvicorn", "--no-access-log", "--log-level", "warning"]
    return [
        Server("the described API", [*uvicorn, "--port", "38700", "described:app"], 38700),
        Server(
            "BentoML 1.4.39",
            [str(_environment(folder, "bentoml") / "bentoml"), "serve", "bento:Predict",
             "--host", "127.0.0.1", "--port", "38800", "--working-dir", str(_CODE)],
            38800, ready="/livez",
        ),
        Server(
            "MLServer 1.7.1",
            [str(_environment(folder, "mlserver") / "mlserver"), "start", str(seldon)],
            38901, path="/v2/models/svm/infer", ready="/v2/models/svm/ready",
            body={"inputs": [tensor]},
        ),
        Server(
            "LitServe 0.2.19",
            [str(_environment(folder, "litserve") / "python"), str(_CODE / "lit.py")],
            38910, ready="/health",
        ),
        Server(
            "mlflow models serve 3.17.2",
            [str(mine / "mlflow"), "models", "serve", "--model-uri", str(saved), "--env-manager",
             "local", "--host", "127.0.0.1", "--port", "38920", "--workers", "1"],
            38920, path="/invocations", ready="/ping", body={"inputs": [row]},
            env={"PATH": f"{mine}:{os.environ['PATH']}"},
        ),
        Server("limit: FastAPI, no model", [*uvicorn, "--port", "38930", "limit:app"], 38930),
    ]  # fmt: skip


@contextmanager
def _object_store(home: Path) -> Iterator[None]:
    """Run the S3 server alone: answers are recorded, as in service."""
    layout = Layout(home)
    layout.create()
    credentials = load_credentials(layout)
    built = build_services(load_settings(home), layout, _PORTS, credentials)
    (store,) = [service for service in built if service.name == "s3"]
    process = subprocess.Popen(store.command, env=dict(store.env), stderr=subprocess.DEVNULL)
    time.sleep(1)
    buckets = next(s for s in built if s.name == "buckets")
    subprocess.run(buckets.command, env=dict(buckets.env), check=True)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def _own(home: Path) -> Server:
    return Server(
        "Presagio",
        [sys.executable, "-m", "presagio", "serve", "--port", str(_PORTS.api), "--home", str(home)],
        _PORTS.api, ready="/health/ready", env={"PRESAGIO_HOME": str(home)},
    )  # fmt: skip


def _token(home: Path) -> dict[str, str]:
    return authorization(load_settings(home))


def _best(loads: list[Load]) -> Load:
    return sorted(loads, key=lambda load: load.requests)[len(loads) // 2]


def _one_row(folder: Path, scratch: Path, home: Path) -> dict[str, Load]:
    servers = [_own(home), *_rivals(folder, scratch)]
    seen: dict[str, list[Load]] = {server.name: [] for server in servers}
    for _ in range(_ROUNDS):
        for server in servers:
            with _running(server):
                headers = {"Content-Type": "application/json"}
                if server.name == "Presagio":
                    headers |= _token(home)
                url = f"http://127.0.0.1:{server.port}{server.path}"
                _wrk(scratch, url, server.body, headers, _WARM_S)
                load = _wrk(scratch, url, server.body, headers, _MEASURE_S)
                assert not load.failed, f"{server.name}: {load}"
                seen[server.name].append(load)
                print(server.name, load, flush=True)
    return {name: _best(loads) for name, loads in seen.items()}


@dataclass(frozen=True)
class Batch:
    """Rows a second of a file, and the worker's memory after it."""

    kind: str
    rows: float
    resident: float


def _mib(process: psutil.Process) -> float:
    return float(process.memory_info().rss) / 2**20


def _batches(scratch: Path, home: Path) -> tuple[list[Batch], float, float]:
    spec = load_spec()
    rows = pl.concat(simulate(spec, _BATCH_ROWS, seed=9)).select(spec.input_names)
    rows.write_parquet(scratch / "rows.parquet")
    rows.write_csv(scratch / "rows.csv")
    rows.write_ipc_stream(scratch / "rows.arrows")
    rows.write_ndjson(scratch / "rows.ndjson")
    kinds = {
        "Parquet": ("rows.parquet", "application/vnd.apache.parquet"),
        "Arrow": ("rows.arrows", "application/vnd.apache.arrow.stream"),
        "CSV": ("rows.csv", "text/csv"),
        "NDJSON": ("rows.ndjson", "application/x-ndjson"),
    }
    done = []
    began = time.monotonic()
    with _running(_own(home)) as process:
        start_s, headers = time.monotonic() - began, _token(home)
        url = f"http://127.0.0.1:{_PORTS.api}/predict/batch"
        _wrk(scratch, url.removesuffix("/batch"), {"request_id": 1, "features": _READING},
             headers, _MEASURE_S)  # fmt: skip
        resident = _mib(process)
        for kind, (name, media) in kinds.items():
            raw = (scratch / name).read_bytes()
            fastest = 0.0
            for _ in range(3):
                began = time.monotonic()
                answer = httpx.post(
                    url, content=raw, headers=headers | {"Content-Type": media}, timeout=300
                )
                seconds = time.monotonic() - began
                assert answer.status_code == 200, answer.text[:200]
                fastest = max(fastest, _BATCH_ROWS / seconds)
            done.append(Batch(kind, fastest, _mib(process)))
            print(done[-1], flush=True)
    return done, start_s, resident


@contextmanager
def _places() -> Iterator[tuple[Path, Path]]:
    """Make a scratch folder, and the home of an API whose object store runs."""
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="presagio-bench-")))
        home = scratch / "home"
        stack.enter_context(_object_store(home))
        yield scratch, home


def run() -> None:
    """Measure one row a request, and write the table."""
    with _places() as (scratch, home):
        named = os.environ.get("PRESAGIO_BENCH_RIVALS")
        loads = _one_row(Path(named) if named else scratch / "rivals", scratch, home)
    own = loads["Presagio"]
    rows = [
        (name, f"{load.requests:,.0f}", f"{load.p50_ms:.1f}", f"{load.p99_ms:.1f}",
         f"{own.requests / load.requests:.2f}")
        for name, load in loads.items()
    ]  # fmt: skip
    one = table(
        ("one row a request, 16 connections", "requests/s", "p50 ms", "p99 ms", "Presagio is x"),
        list(rows),
    )
    note = (
        f"One worker each, median of {_ROUNDS} runs of {_MEASURE_S} s in turn; Presagio with "
        "authentication, metrics and recording of answers into S3. All but the described API run "
        "the same graph in ONNX Runtime."
    )
    write("serving", f"{note}\n\n{one}")


def run_files() -> None:
    """Measure whole files, and write the table."""
    with _places() as (scratch, home):
        batches, start_s, resident = _batches(scratch, home)
    many = table(
        ("a file of 1,000,000 rows over HTTP", "rows/s", "resident MiB after it"),
        [(own.kind, f"{own.rows:,.0f}", f"{own.resident:.0f}") for own in batches],
    )
    note = (
        "One worker, best of 3, answered in the kind that was sent. From start to first answer "
        f"with the bundled model: {start_s:.1f} s; resident after {_MEASURE_S} s of requests of "
        f"one row: {resident:.0f} MiB."
    )
    write("files", f"{note}\n\n{many}")
