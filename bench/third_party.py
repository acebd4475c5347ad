"""The API beside other inference servers: same graph, same machine, same run; wrk asks.

They are installed from the package index into environments of their own, under the folder that
``PRESAGIO_BENCH_BASELINES`` names.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.report import table, write
from bench.servers import BASELINES_CODE, READING, Load, Server, ask, limit, presagio, running
from bench.serving import places, token
from bench.sizes import Size
from presagio.stack.ports import free_port

_PACKAGES = {
    "bentoml": "bentoml==1.4.39",
    "mlserver": "mlserver==1.7.1",
    "litserve": "litserve==0.2.19",
}
_WARM_S = 2


def _environment(folder: Path, name: str) -> Path:
    """Install a server, unless it is there."""
    home = folder / name
    if not (home / "bin" / "python").exists():
        uv = str(Path(sys.executable).with_name("uv"))
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(home)], check=True)
        subprocess.run(
            [uv, "pip", "install", "--quiet", "--python", str(home / "bin/python"),
             _PACKAGES[name], "onnxruntime", "numpy"],
            check=True,
        )  # fmt: skip
    return home / "bin"


def _described() -> Server:
    port = free_port()
    uvicorn = [sys.executable, "-m", "uvicorn", "--no-access-log", "--log-level", "warning"]
    return Server(
        "the described API", [*uvicorn, "--port", str(port), "described:app"], port,
        ready_status=(405,),
    )  # fmt: skip


def _bentoml(folder: Path) -> Server:
    port = free_port()
    return Server(
        "BentoML 1.4.39",
        [str(_environment(folder, "bentoml") / "bentoml"), "serve", "bento:Predict",
         "--host", "127.0.0.1", "--port", str(port), "--working-dir", str(BASELINES_CODE)],
        port, ready="/livez",
    )  # fmt: skip


def _mlserver(folder: Path, scratch: Path, row: list[float]) -> Server:
    seldon = scratch / "mlserver"
    seldon.mkdir()
    port = free_port()
    (seldon / "settings.json").write_text(json.dumps({
        "host": "127.0.0.1", "http_port": port, "grpc_port": free_port(),
        "metrics_port": free_port(), "debug": False, "parallel_workers": 0,
    }), encoding="utf-8")  # fmt: skip
    (seldon / "model-settings.json").write_text(
        json.dumps({"name": "svm", "implementation": "seldon.Runtime"}), encoding="utf-8"
    )
    tensor = {"name": "inputs", "shape": [1, 7], "datatype": "FP64", "data": row}
    return Server(
        "MLServer 1.7.1",
        [str(_environment(folder, "mlserver") / "mlserver"), "start", str(seldon)],
        port, path="/v2/models/svm/infer", ready="/v2/models/svm/ready", body={"inputs": [tensor]},
    )  # fmt: skip


def _litserve(folder: Path) -> Server:
    return Server(
        "LitServe 0.2.19",
        [str(_environment(folder, "litserve") / "python"), str(BASELINES_CODE / "lit.py")],
        free_port(), ready="/health",
    )  # fmt: skip


def _mlflow(scratch: Path, row: list[float]) -> Server:
    programs, saved, port = Path(sys.executable).parent, scratch / "pyfunc", free_port()
    subprocess.run(
        [sys.executable, str(BASELINES_CODE / "pyfunc.py"), str(saved)],
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    return Server(
        "mlflow models serve 3.17.2",
        [str(programs / "mlflow"), "models", "serve", "--model-uri", str(saved), "--env-manager",
         "local", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"],
        port, path="/invocations", ready="/ping", body={"inputs": [row]},
        env={"PATH": f"{programs}:{os.environ['PATH']}"},
    )  # fmt: skip


def _servers(folder: Path, scratch: Path, size: Size) -> list[Server]:
    row = [float(value) for value in READING.values()]
    if size is Size.SMOKE:
        # Those that need no package index.
        return [_described(), _mlflow(scratch, row), limit(free_port())]
    return [
        _described(), _bentoml(folder), _mlserver(folder, scratch, row), _litserve(folder),
        _mlflow(scratch, row), limit(free_port()),
    ]  # fmt: skip


def run(size: Size) -> None:
    """Measure one row a request, and write the table."""
    rounds, seconds = size.pick(3, 1, 1), size.pick(8, 8, 1)
    seen: dict[str, list[Load]] = {}
    with places() as (home, ports), tempfile.TemporaryDirectory() as scratch:
        folder = Path(os.environ.get("PRESAGIO_BENCH_BASELINES", f"{scratch}/baselines"))
        servers = [presagio(home, ports), *_servers(folder, Path(scratch), size)]
        for _ in range(rounds):
            for server in servers:
                headers = {"Content-Type": "application/json"}
                if server.name == "Presagio":
                    headers |= token(home)
                with running(server):
                    ask(server, headers, _WARM_S)
                    load = ask(server, headers, seconds)
                seen.setdefault(server.name, []).append(load)
                print(server.name, load, flush=True)
    loads = {
        name: sorted(measured, key=lambda load: load.requests)[len(measured) // 2]
        for name, measured in seen.items()
    }
    rows = [
        (name, f"{load.requests:,.0f}", f"{load.p50_ms:.1f}", f"{load.p99_ms:.1f}",
         f"{loads['Presagio'].requests / load.requests:.2f}")
        for name, load in loads.items()
    ]  # fmt: skip
    header = (
        "one row a request, 16 connections",
        "requests/s",
        "p50 ms",
        "p99 ms",
        "Presagio is x",
    )
    note = (
        f"One worker each, median of {rounds} runs of {seconds} s in turn; Presagio with "
        "authentication, metrics and recording of answers into S3. All but the described API run "
        "the same graph in ONNX Runtime."
    )
    write("servers", f"{note}\n\n{table(header, list(rows))}", size, part="serving")
