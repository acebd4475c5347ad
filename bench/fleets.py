"""What a second fleet costs: memory of an idle stack."""

import contextlib
import statistics
import time
from pathlib import Path

import numpy as np
import polars as pl
import psutil

from bench.report import table, write
from bench.running import Stack, running_stack
from bench.sizes import Size
from presagio.stack.layout import Layout
from presagio.stack.processes import left_over

_SPEC = """name = "pumps"
title = "Pumps"
missing = "median"
[[features]]
name = "flow"
[[features]]
name = "pressure"
[[features]]
name = "vibration"
[[features]]
name = "temperature"
[target]
name = "failed"
"""
_LOOKS, _LOOK_S = 9, 2.5
_PARTS = ("api", "airflow-triggerer", "airflow-dag-processor", "airflow-scheduler",
          "airflow-apiserver", "mlflow", "postgres", "s3")  # fmt: skip


def _readings(path: Path, rows: int) -> Path:
    values = np.random.default_rng(0).normal(size=(rows, 4))
    frame = pl.DataFrame(values, schema=["flow", "pressure", "vibration", "temperature"])
    frame.with_columns(failed=pl.col("vibration") + pl.col("flow") > 1.8).write_csv(path)
    return path


def _sample(stack: Stack, services: dict[int, str]) -> dict[str, float]:
    found: dict[str, float] = dict.fromkeys((*_PARTS, "all"), 0.0)
    for process in left_over(Layout(stack.home)):
        # One that reads a DAG file ends by itself.
        with contextlib.suppress(psutil.NoSuchProcess):
            info = process.memory_full_info()
            mib = float(getattr(info, "pss", info.rss)) / 2**20
            line = {process.pid, *(parent.pid for parent in process.parents())}
            name = next((services[pid] for pid in line if pid in services), None)
            found["all"] += mib
            if name in found:
                found[name] += mib
    return found


def _memory(stack: Stack) -> dict[str, float]:
    """Return the memory of each service, MiB, with shared pages counted once (PSS).

    The median of several looks: Airflow reads its DAG files in processes of seconds.
    """
    services = {s["pid"]: s["name"] for s in stack.services() if s["pid"]}
    looks = []
    for _ in range(_LOOKS):
        looks.append(_sample(stack, services))
        time.sleep(_LOOK_S)
    return {part: statistics.median(look[part] for look in looks) for part in looks[0]}


def _measured(size: Size, *, second: bool) -> dict[str, float]:
    """Start a stack, with a second fleet that has a champion or without, and let it rest."""
    with running_stack(env={"PRESAGIO_TRAIN_SEARCH": "small"}) as stack:
        if second:
            spec = stack.home / "pumps.toml"
            spec.write_text(_SPEC, encoding="utf-8")
            stack.presagio("fleet", "add", str(spec))
            rows = _readings(stack.home / "pumps.csv", 3000)
            stack.presagio("train", "--fleet", "pumps", "--csv", str(rows), "--search", "small")
        time.sleep(size.pick(120.0, 90.0, 1.0))
        return _memory(stack)


def run(size: Size) -> None:
    """Measure in turns, and write the table."""
    rounds = size.pick(5, 2, 1)
    pairs = [(_measured(size, second=False), _measured(size, second=True)) for _ in range(rounds)]
    rows: list[tuple[object, ...]] = []
    for part in (*_PARTS, "all"):
        one, two = (statistics.median(pair[i][part] for pair in pairs) for i in (0, 1))
        more = [pair[1][part] - pair[0][part] for pair in pairs]
        middle = statistics.median(more)
        rows.append(
            (f"`{part}`" if part != "all" else "**all of it**", f"{one:,.0f} MiB",
             f"{two:,.0f} MiB", f"{middle:+.0f} MiB ({min(more):+.0f} to {max(more):+.0f})")
        )  # fmt: skip
    header = ("service", "one fleet", "two, both with a champion", "more")
    about = (
        f"An idle stack, shared pages counted once (PSS), {rounds} pairs of starts: medians. The "
        "bar for a second fleet is 60 MiB."
    )
    write("fleets", f"{about}\n\n{table(header, rows)}", size, after="stack")
