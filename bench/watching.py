"""From drop to processed on an idle stack, and what waiting costs: our watcher and its baseline."""

import random
import statistics
import time
from pathlib import Path
from uuid import uuid4

from bench.report import table, write
from bench.running import HEADER, Stack, percentile, running_stack
from bench.sizes import Size

_SETTLE_S = 20.0
# Long enough for the run of the drop before to end: the stack is idle again then.
_PAUSE_S = (10.0, 15.0)
_IDLE_S = 30.0
_LOST_S = 60.0
_BASELINE = Path(__file__).parent / "asset_watcher"


def _drop(stack: Stack) -> float:
    """Drop a file, and return the seconds until its clean rows can be read."""
    name = f"drop-{uuid4().hex}.csv"
    body = f"{HEADER}L,300,310,1500,40,{random.random() * 400:.6f}\n".encode()
    began = time.monotonic()
    stack.store.write("csv-data", f"incoming/{name}", body)
    while stack.store.head("csv-data", f"processed/{name}") is None:
        assert time.monotonic() - began < _LOST_S, f"{name} was not filed"
        time.sleep(0.05)
    return time.monotonic() - began


def _share_of_a_core(stack: Stack) -> float:
    """Return the share of a core that the triggerer, which does the waiting, takes when idle."""
    processes = stack.processes("triggerer")
    before = [sum(process.cpu_times()[:2]) for process in processes]
    began = time.monotonic()
    time.sleep(_IDLE_S)
    after = [sum(process.cpu_times()[:2]) for process in processes]
    return (sum(after) - sum(before)) / (time.monotonic() - began)


def _measure(name: str, drops: int, **env: str) -> tuple[object, ...]:
    with running_stack(env=env) as stack:
        time.sleep(_SETTLE_S)
        _drop(stack)  # the first run after a start is no idle one
        seconds = []
        for _ in range(drops):
            time.sleep(random.uniform(*_PAUSE_S))
            seconds.append(_drop(stack))
        time.sleep(_SETTLE_S)
        idle = _share_of_a_core(stack)
    return (
        name, f"{statistics.median(seconds):.1f} s", f"{percentile(seconds, 0.95):.1f} s",
        f"{max(seconds):.1f} s", f"{idle:.1%}",
    )  # fmt: skip


def run(size: Size) -> None:
    """Measure both, and write the table."""
    drops = size.pick(20, 7, 1)
    rows = [
        _measure("ours: a sensor that lives in the triggerer, in a continuous DAG", drops),
        _measure(
            "baseline: an AssetWatcher with an event trigger",
            drops,
            PRESAGIO_DAGS_FOLDER=str(_BASELINE),
            PYTHONPATH=str(_BASELINE),
        ),
        ("bar", "", "6 s", "", "3 %"),
    ]
    header = (
        "way", f"drop to processed, median of {drops}", "95th percentile", "slowest",
        "triggerer when idle, share of a core",
    )  # fmt: skip
    write("watching", table(header, rows), size)
