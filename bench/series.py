"""Series over HTTP: 20 readings of 21 sensors a request, of units that are well and that are not.

As in :mod:`bench.serving`, wrk asks from the same machine and takes its share of the cores.
"""

import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from bench.report import table, write
from bench.servers import Load, Server, ask, limit, presagio, running, services
from bench.sizes import Size
from presagio.jobs.api_client import authorization
from presagio.machine.simulation import simulate
from presagio.machine.spec import load_spec
from presagio.settings import Settings
from presagio.stack.ports import Ports, free_port, free_ports

_SENSORS, _READINGS = 21, 20
_FEATURES = "".join(f'[[features]]\nname = "sensor_{i}"\n' for i in range(1, _SENSORS + 1))
_SPEC = f"""
name = "engines"
title = "Engines"
{_FEATURES}
[unit]
name = "engine"
[time]
name = "cycle"
kind = "counter"
[target]
name = "failure"
[events]
source = "last_row"
[label]
kind = "horizon"
within = 30
[remaining_life]
most = 125
[windows]
rows = [5, {_READINGS}]
statistics = ["mean", "slope"]
"""
_ROWS = 6000
_WARM_S = 2


def _body(life: pl.DataFrame, end: int) -> dict[str, Any]:
    """Return a request with the readings of a life until one of them."""
    names = [name for name in life.columns if name.startswith("sensor_")]
    rows = life[end - _READINGS : end].rows(named=True)
    readings = [
        {"time": row["cycle"], "features": {n: round(row[n], 3) for n in names}} for row in rows
    ]
    return {"request_id": 1, "unit": "17", "readings": readings}


def _train(home: Path, rows: pl.DataFrame, env: dict[str, str]) -> None:
    file = home / "engines.csv"
    rows.write_csv(file)
    command = [sys.executable, "-m", "presagio", "train", "--csv", str(file), "--home", str(home)]
    subprocess.run(command, check=True, env=os.environ | env, stdout=subprocess.DEVNULL)


def _loads(server: Server, headers: dict[str, str], seconds: int, times: int) -> list[Load]:
    ask(server, headers, _WARM_S)
    return [ask(server, headers, seconds) for _ in range(times)]


def _row(name: str, loads: list[Load]) -> tuple[object, ...]:
    rate = statistics.median(load.requests for load in loads)
    p50, p99 = (statistics.median(getattr(load, of) for load in loads)
                for of in ("p50_ms", "p99_ms"))  # fmt: skip
    print(name, loads, flush=True)
    return name, f"{rate:,.0f}", f"{p50:.1f}", f"{p99:.1f}"


def _measure(settings: Settings, ports: Ports, spec: Path, size: Size) -> list[tuple[object, ...]]:
    rows = pl.concat(simulate(load_spec(spec), size.pick(_ROWS, _ROWS, 3000)))
    env = {"PRESAGIO_MACHINE_SPEC": str(spec), "PRESAGIO_TRAIN_SEARCH": "small"}
    _train(settings.home, rows, env)
    # The first life whole: its first readings, and those before its failure.
    life = rows.filter(pl.col("engine") == rows["engine"][0])
    seconds, times = size.pick(8, 5, 1), size.pick(3, 3, 1)
    well, failing = _body(life, _READINGS), _body(life, len(life))
    api = presagio(settings.home, ports)
    api = replace(api, env={**api.env, **env})
    alone = limit(free_port())
    alone = replace(alone, body=well, env={"LIMIT_SPEC": str(spec)})
    headers = {"Content-Type": "application/json"}
    with running(replace(api, body=well)):
        known = headers | authorization(settings)
        found = [
            _row(name, _loads(replace(api, body=body), known, seconds, times))
            for name, body in {"a unit that is well": well, "an alarm, explained": failing}.items()
        ]
    with running(alone):
        found.append(_row("limit: FastAPI, no model", _loads(alone, headers, seconds, times)))
    return found


def run(size: Size) -> None:
    """Measure, and write the table."""
    ports = free_ports()
    with tempfile.TemporaryDirectory(prefix="presagio-bench-") as folder:
        home, spec = Path(folder) / "home", Path(folder) / "engines.toml"
        spec.write_text(_SPEC, encoding="utf-8")
        with services(home, ports) as settings:
            found = _measure(settings, ports, spec, size)
    header = (
        f"{_READINGS} readings of {_SENSORS} sensors a request, 16 connections", "requests/s",
        "p50 ms", "p99 ms",
    )  # fmt: skip
    write("series", table(header, found), size, after="serving-fresh")
