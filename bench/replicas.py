"""Two replicas of the API behind HAProxy beside one, on as many cores as the machine has.

HAProxy and wrk ask from the same machine and take their share of its cores. So each comparison is
made twice: one replica with all of its surroundings on one core beside two on two cores, which is
what a second host of that kind adds; and both on all cores, which is what this machine has to give.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx

from bench.report import ROOT, table, write
from bench.servers import Load, Server, ask, running, services
from bench.serving import token
from bench.sizes import Size
from presagio.settings import Settings
from presagio.settings.private import reveal
from presagio.stack.ports import Ports, free_port, free_ports

_CONFIGURATION = ROOT / "deploy" / "haproxy.cfg"
_WARM_S = 3
Cores = frozenset[int]


def _bound(cores: Cores) -> list[str]:
    return ["taskset", "-c", ",".join(map(str, sorted(cores)))]


def _replica(settings: Settings, home: Path, number: int, cores: Cores) -> Server:
    port = free_port()
    return Server(
        f"replica {number}",
        [*_bound(cores), sys.executable, "-m", "presagio", "serve", "--port", str(port)],
        port, ready="/health/ready",
        env={
            "PRESAGIO_HOME": str(home), "PRESAGIO_REPLICA": f"replica-{number}",
            "PRESAGIO_API_DATABASE_URL": reveal(settings.database_url, "PRESAGIO_DATABASE_URL"),
        },
    )  # fmt: skip


@contextmanager
def _balancer(replicas: Sequence[Server], cores: Cores, folder: Path) -> Iterator[Server]:
    """Run HAProxy with the configuration that ships, of which as many servers are kept."""
    if (program := shutil.which("haproxy") or shutil.which("/usr/sbin/haproxy")) is None:
        raise SystemExit("this benchmark needs HAProxy: apt-get install haproxy")
    lines = _CONFIGURATION.read_text("utf-8").splitlines()
    absent = [f"server replica-{i} " for i in range(len(replicas) + 1, 4)]
    kept = [line for line in lines if not any(one in line for one in absent)]
    configuration = folder / "haproxy.cfg"
    configuration.write_text("\n".join(kept) + "\n", encoding="utf-8")
    port = free_port()
    environment = {"PRESAGIO_BALANCER": f"127.0.0.1:{port}"} | {
        f"PRESAGIO_REPLICA_{i}": f"127.0.0.1:{one.port}" for i, one in enumerate(replicas, 1)
    }
    process = subprocess.Popen(
        [*_bound(cores), program, "-q", "-f", str(configuration)], env=os.environ | environment
    )
    try:
        server = Server("HAProxy", (), port)
        until = time.monotonic() + 20
        while not _answers(f"http://127.0.0.1:{port}/health/ready"):
            assert time.monotonic() < until, "HAProxy does not answer"
            time.sleep(0.05)
        yield server
    finally:
        process.terminate()
        process.wait(15)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def _measure(
    settings: Settings, home: Path, each: Sequence[Cores], others: Cores, seconds: int
) -> Load:
    """Ask as many replicas as ``each`` has cores for, with all else on ``others``."""
    headers = {"Content-Type": "application/json"} | token(home)
    replicas = [_replica(settings, home, i, cores) for i, cores in enumerate(each, 1)]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for replica in replicas:
            stack.enter_context(running(replica))
        balancer = stack.enter_context(_balancer(replicas, others, folder))
        ask(balancer, headers, _WARM_S, before=_bound(others))
        load = ask(balancer, headers, seconds, before=_bound(others))
    print(len(each), sorted(others), load, flush=True)
    return load


def run(size: Size) -> None:
    """Measure in turn, and write the table."""
    rounds, seconds = size.pick(5, 3, 1), size.pick(10, 5, 2)
    cores = sorted(os.sched_getaffinity(0))
    first, second, both = frozenset(cores[:1]), frozenset(cores[1:2]), frozenset(cores[:2])
    cases: dict[str, tuple[Sequence[Cores], Cores]] = {
        "one replica, all on one core": ([first], first),
        "two replicas, a core each, the rest on both": ([first, second or first], both),
        "one replica, all on both cores": ([both], both),
        "two replicas, all on both cores": ([both, both], both),
    }
    loads: dict[str, list[Load]] = {case: [] for case in cases}
    ports: Ports = free_ports()
    with tempfile.TemporaryDirectory(prefix="presagio-bench-") as folder:
        home = Path(folder) / "home"
        with services(home, ports) as settings:
            for _ in range(rounds):
                for case, (each, others) in cases.items():
                    loads[case].append(_measure(settings, home, each, others, seconds))
    rates = {case: statistics.median(load.requests for load in loads[case]) for case in cases}
    names = list(cases)
    rows: list[tuple[object, ...]] = [
        (
            case, f"{rates[case]:,.0f}",
            f"{statistics.median(load.p99_ms for load in loads[case]):.1f}",
            f"{rates[case] / rates[names[i // 2 * 2]]:.2f}",
        )
        for i, case in enumerate(names)
    ]  # fmt: skip
    note = (
        f"Median of {rounds} rounds in turn, {seconds} s each, 16 connections through HAProxy, as "
        "`deploy/haproxy.cfg` has it. HAProxy and wrk take their share of the cores that are "
        "named; PostgreSQL, the object store and MLflow run beside. Bar: 1.7 times the rate where "
        "each replica has a core; where one replica, HAProxy and wrk have both cores already, a "
        "second one has none to add."
    )
    header = ("one row a request", "requests/s", "p99 ms", "rate, x that of one replica")
    write("replicas", f"{note}\n\n{table(header, rows)}", size, after="swapping")
