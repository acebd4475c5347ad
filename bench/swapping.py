"""Champions that change under load: 500 requests a second, every fourth swap to a broken one."""

import hashlib
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import mlflow
import psutil

from bench.report import table, write
from bench.servers import READING, Server, running, services
from bench.serving import first_answer_s
from bench.sizes import Size
from presagio.inference.artifact import GRAPH, MANIFEST
from presagio.inference.predictor import fallback_folder
from presagio.jobs.api_client import authorization
from presagio.registry.versions import ARTIFACT, DIGEST_TAG
from presagio.settings import Settings
from presagio.stack.ports import Ports, free_ports

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


def _api(home: Path, ports: Ports) -> Server:
    return Server(
        "Presagio", [sys.executable, "-m", "presagio", "serve", "--port", str(ports.api)],
        ports.api, ready="/health/ready",
        env={"PRESAGIO_HOME": str(home), "PRESAGIO_REGISTRY_POLL_S": "0.5"},
    )  # fmt: skip


def _wait_for_champion(ports: Ports) -> None:
    until = time.monotonic() + 30
    while httpx.get(f"{ports.url('api')}/health/ready").json()["degraded"]:
        assert time.monotonic() < until, "the API does not serve the champion"
        time.sleep(0.02)


@dataclass(frozen=True)
class _Load:
    """What champions change under."""

    seconds: int
    swaps: int


@dataclass(frozen=True)
class _Api:
    """A running API and what it follows: two good versions and a broken one."""

    client: mlflow.MlflowClient
    settings: Settings
    versions: tuple[str, str, str]
    process: psutil.Process

    def resident_mib(self) -> float:
        """Return the memory of the API's own process."""
        return float(self.process.memory_info().rss) / 2**20

    def swap(self, load: _Load, resident: list[float]) -> None:
        """Move the alias again and again, each fourth time to the broken version."""
        first, second, broken = self.versions
        for i in range(load.swaps):
            time.sleep(load.seconds / (load.swaps + 1))
            if i % 4 == 0:
                resident.append(self.resident_mib())
            wanted = broken if i % 4 == 3 else (second if i % 2 == 0 else first)
            self.client.set_registered_model_alias(self.settings.model_name, "champion", wanted)


def _measure(
    folder: Path, api: _Api, headers: dict[str, str], load: _Load
) -> tuple[str, list[float]]:
    body = json.dumps({"request_id": 1, "features": READING})
    script = folder / "ask.lua"
    script.write_text(_LUA.format(body=body, token=headers["Authorization"]), encoding="utf-8")
    url = f"{api.settings.api_url}/predict"
    command = ["wrk", "-t1", "-c10", "--latency", "-s", str(script), url]
    subprocess.run([*command, f"-d{min(5, load.seconds)}s"], check=True, capture_output=True)
    resident: list[float] = []
    with ThreadPoolExecutor(1) as pool:
        swaps = pool.submit(api.swap, load, resident)
        output = subprocess.run(
            [*command, f"-d{load.seconds}s"], check=True, capture_output=True, text=True
        ).stdout
        swaps.result()
    return output, [*resident, api.resident_mib()]


def _rows(output: str, load: _Load) -> list[tuple[object, ...]]:
    failed = sum(int(number) for number in re.findall(r"failed (\d+)", output))
    sockets = re.search(r"Socket errors: (.*)", output)
    seen = {version: int(count) for version, count in re.findall(r"seen (\w+) (\d+)", output)}
    rate = re.search(r"Requests/sec:\s+([\d.]+)", output)
    p99 = re.search(r"(?m)^ +99% +(\S+)$", output)
    assert rate is not None, output
    assert p99 is not None, output
    return [
        (f"requests/s for {load.seconds} s", f"{float(rate[1]):.0f}"),
        ("answers by version", ", ".join(f"{k}: {v:,}" for k, v in sorted(seen.items()))),
        ("failed requests", failed),
        ("broken connections", sockets[1] if sockets else 0),
        ("99th percentile of the time to answer", p99[1]),
        ("swaps, broken ones among them", f"{load.swaps}, {load.swaps // 4}"),
    ]


def run(size: Size) -> None:
    """Measure, and write the table."""
    load, starts = size.pick(_Load(60, 20), _Load(30, 8), _Load(4, 4)), size.pick(5, 3, 1)
    ports = free_ports()
    with tempfile.TemporaryDirectory(prefix="presagio-bench-") as folder:
        home = Path(folder) / "home"
        with services(home, ports) as settings:
            client = mlflow.MlflowClient(settings.mlflow_url, settings.mlflow_url)
            client.create_registered_model(settings.model_name)
            broken = (False, False, True)
            first, second, third = (_register(client, settings, broken=one) for one in broken)
            client.set_registered_model_alias(settings.model_name, "champion", first)
            server = _api(home, ports)
            with running(server) as process:
                _wait_for_champion(ports)
                headers = authorization(settings)
                api = _Api(client, settings, (first, second, third), process)
                output, resident = _measure(Path(folder), api, headers, load)
            # The last good model is on disk now, and the alias names a broken one.
            seconds = [first_answer_s(server, headers) for _ in range(starts)]
    rows = [
        *_rows(output, load),
        (
            "resident MiB, before the first swap, after each 4, and at the end",
            ", ".join(f"{mib:.0f}" for mib in resident),
        ),
        (
            f"from start to first answer with the cached model, median of {starts}",
            f"{statistics.median(seconds):.2f} s",
        ),
    ]
    write("swapping", table(("champions that change under load", ""), rows), size)
