"""Champions that change under load: 500 requests/s for a minute, 20 swaps, 5 to broken ones."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import mlflow
import psutil

from bench.report import table, write
from presagio.inference.artifact import GRAPH, MANIFEST
from presagio.inference.predictor import fallback_folder
from presagio.orchestration.api import authorization
from presagio.registry.versions import ARTIFACT, DIGEST_TAG
from presagio.settings import Settings, load_settings
from presagio.stack.credentials import load_credentials
from presagio.stack.layout import Layout
from presagio.stack.ports import Ports
from presagio.stack.postgres import create_cluster
from presagio.stack.services import build_services
from presagio.stack.supervisor import Supervisor

_PORTS = Ports().moved(30_000)
_SECONDS, _SWAPS = 60, 20
_SERVICES = {"postgres", "s3", "databases", "buckets", "mlflow"}
_READING = {
    "airtemperature_k": 300.1, "process_temperature_k": 310.3, "rotational_speed_rpm": 1550,
    "torque_nm": 38, "tool_wear_min": 20, "type_l": True, "type_m": False,
}  # fmt: skip
# Ten connections that wait 18 ms after each answer ask some 500 times a second.
_LUA = """
wrk.method = "POST"
wrk.body = [==[{body}]==]
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "{token}"
local threads = {{}}
function setup(thread) table.insert(threads, thread) end
function init(args) seen = {{}}; failed = 0 end
function delay() return 18 end
function response(status, headers, body)
  local version = status == 200 and string.match(body, '"version":"(%w+)"')
  if version then seen[version] = (seen[version] or 0) + 1 else failed = failed + 1 end
end
function done(summary, latency, requests)
  for _, thread in ipairs(threads) do
    print("failed " .. thread:get("failed"))
    for version, count in pairs(thread:get("seen")) do print("seen " .. version .. " " .. count) end
  end
end
"""


@contextmanager
def _services(home: Path) -> Iterator[Settings]:
    layout = Layout(home)
    layout.create()
    credentials = load_credentials(layout)
    create_cluster(layout, credentials.postgres_password)
    built = build_services(load_settings(home), layout, _PORTS, credentials)
    healthy = threading.Event()
    supervisor = Supervisor(
        [service for service in built if service.name in _SERVICES],
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


def _register(client: mlflow.MlflowClient, settings: Settings, *, broken: bool) -> str:
    """Register the bundled artifact as a version of the model, whole or with half a graph."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / ARTIFACT
        shutil.copytree(fallback_folder(), folder)
        if broken:
            graph = (folder / GRAPH).read_bytes()[:1000]
            (folder / GRAPH).write_bytes(graph)
            manifest = json.loads((folder / MANIFEST).read_bytes())
            manifest["files"][GRAPH] = hashlib.sha256(graph).hexdigest()
            (folder / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
        digest = hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()
        run = client.create_run("0")
        client.log_artifacts(run.info.run_id, scratch)
    found = client.create_model_version(
        settings.model_name, run.info.artifact_uri, run.info.run_id, tags={DIGEST_TAG: digest}
    )
    return str(found.version)


@contextmanager
def _api(home: Path, headers: dict[str, str] | None = None) -> Iterator[psutil.Process]:
    """Run the API; it is there when it serves the champion, or with a token when it answers."""
    process = subprocess.Popen(
        [sys.executable, "-m", "presagio", "serve", "--port", str(_PORTS.api)],
        env=os.environ | {"PRESAGIO_HOME": str(home), "PRESAGIO_REGISTRY_POLL_S": "0.5"},
        stderr=subprocess.DEVNULL,
    )
    url, until = f"http://127.0.0.1:{_PORTS.api}", time.monotonic() + 30
    try:
        while True:
            try:
                if headers is not None:
                    body = {"request_id": 1, "features": _READING}
                    httpx.post(f"{url}/predict", json=body, headers=headers).raise_for_status()
                    break
                if not httpx.get(f"{url}/health/ready").json()["degraded"]:
                    break
            except httpx.HTTPError:
                pass
            assert time.monotonic() < until, "the API does not serve the champion"
            time.sleep(0.02)
        yield psutil.Process(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _first_answer_s(home: Path, headers: dict[str, str]) -> float:
    """Time the way from a new process to its first answered prediction."""
    began = time.monotonic()
    with _api(home, headers):
        return time.monotonic() - began


def _swap_again_and_again(
    client: mlflow.MlflowClient, settings: Settings, versions: tuple[str, str, str],
    process: psutil.Process, resident: list[float],
) -> None:  # fmt: skip
    first, second, broken = versions
    for i in range(_SWAPS):
        time.sleep(_SECONDS / (_SWAPS + 1))
        if i % 4 == 0:
            resident.append(process.memory_info().rss / 2**20)
        wanted = broken if i % 4 == 3 else (second if i % 2 == 0 else first)
        client.set_registered_model_alias(settings.model_name, "champion", wanted)


def run() -> None:
    """Measure, and write the table."""
    with tempfile.TemporaryDirectory(prefix="presagio-bench-") as folder:
        home = Path(folder) / "home"
        with _services(home) as settings:
            client = mlflow.MlflowClient(settings.mlflow_url, settings.mlflow_url)
            client.create_registered_model(settings.model_name)
            versions = (
                _register(client, settings, broken=False),
                _register(client, settings, broken=False),
                _register(client, settings, broken=True),
            )
            client.set_registered_model_alias(settings.model_name, "champion", versions[0])
            with _api(home) as process:
                headers = authorization(settings)
                said, resident = _measure(
                    Path(folder), client, settings, versions, process, headers
                )
            # The last good model is on disk now, and the alias names a broken one.
            starts = sorted(_first_answer_s(home, headers) for _ in range(5))
    failed = sum(int(number) for number in re.findall(r"failed (\d+)", said))
    sockets = re.search(r"Socket errors: (.*)", said)
    seen = {version: int(count) for version, count in re.findall(r"seen (\w+) (\d+)", said)}
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    assert rate is not None, said
    rows = [
        ("requests/s for 60 s", f"{float(rate[1]):.0f}"),
        ("answers by version", ", ".join(f"{k}: {v:,}" for k, v in sorted(seen.items()))),
        ("failed requests", failed),
        ("broken connections", sockets[1] if sockets else 0),
        ("swaps, broken ones among them", f"{_SWAPS}, {_SWAPS // 4}"),
        (
            f"resident MiB, before the first swap, after each {_SWAPS // 5}, and at the end",
            ", ".join(f"{mib:.0f}" for mib in resident),
        ),
        ("from start to first answer with the cached model, median of 5", f"{starts[2]:.2f} s"),
    ]
    write("swapping", table(("champions that change under load", ""), list(rows)))
    print(rows)


def _measure(
    folder: Path, client: mlflow.MlflowClient, settings: Settings,
    versions: tuple[str, str, str], process: psutil.Process, headers: dict[str, str],
) -> tuple[str, list[float]]:  # fmt: skip
    body = json.dumps({"request_id": 1, "features": _READING})
    script = folder / "ask.lua"
    script.write_text(_LUA.format(body=body, token=headers["Authorization"]), encoding="utf-8")
    command = ["wrk", "-t1", "-c10", "-s", str(script), f"{settings.api_url}/predict"]
    subprocess.run([*command, "-d5s"], check=True, capture_output=True)
    resident: list[float] = []
    swaps = threading.Thread(
        target=_swap_again_and_again, args=(client, settings, versions, process, resident)
    )
    swaps.start()
    said = subprocess.run(
        [*command, f"-d{_SECONDS}s"], check=True, capture_output=True, text=True
    ).stdout
    swaps.join()
    return said, [*resident, process.memory_info().rss / 2**20]
