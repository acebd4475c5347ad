"""The API beside FastAPI with nothing behind it: a worker that has just become ready, and later.

wrk has to be installed (Debian's package ``wrk``). It asks from the same machine, so it takes its
share of the cores from both alike.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from bench.report import table, write
from bench.servers import Load, Server, ask, limit, object_store, presagio, running
from bench.sizes import Size
from presagio.serving.auth.tokens import SCOPES, Authority
from presagio.settings import load_settings
from presagio.stack.ports import Ports, free_port, free_ports

# The first second after a worker says that it is ready, and how long it runs before it is settled.
_FRESH_S, _WARM_S = 1, 3


@dataclass(frozen=True)
class Run:
    """One process: seconds until it is ready, then its first second and its later ones."""

    ready_s: float
    fresh: Load
    settled: Load


@contextmanager
def places() -> Iterator[tuple[Path, Ports]]:
    """Make the home of an API whose object store runs, and ports for both."""
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="presagio-bench-")))
        ports = free_ports()
        stack.enter_context(object_store(scratch / "home", ports))
        yield scratch / "home", ports


def token(home: Path) -> dict[str, str]:
    """Return the header that requests need; made here, so that the API has had no request yet."""
    made, _ = Authority(load_settings(home)).issue("bench", list(SCOPES))
    return {"Authorization": f"Bearer {made}"}


def _measure(server: Server, headers: dict[str, str], seconds: int) -> Run:
    began = time.monotonic()
    with running(server):
        ready_s = time.monotonic() - began
        fresh = ask(server, headers, _FRESH_S)
        ask(server, headers, _WARM_S)
        run = Run(ready_s, fresh, ask(server, headers, seconds))
    print(server.name, run, flush=True)
    return run


def first_answer_s(server: Server, headers: dict[str, str]) -> float:
    """Return the seconds from a new process to its first answered prediction."""
    began = time.monotonic()
    with running(_by_answers(server)):
        while True:
            answer = httpx.post(server.url, json=dict(server.body), headers=headers)
            if answer.status_code == httpx.codes.OK:
                return time.monotonic() - began


def _by_answers(server: Server) -> Server:
    return Server(server.name, server.command, server.port, ready="/health/live", env=server.env)


def _row(name: str, loads: list[Load], others: list[Load]) -> tuple[object, ...]:
    def median(runs: list[Load], value: Callable[[Load], float]) -> float:
        return statistics.median(map(value, runs))

    rate, p99 = median(loads, lambda load: load.requests), median(loads, lambda load: load.p99_ms)
    other_rate = median(others, lambda load: load.requests)
    other_p99 = median(others, lambda load: load.p99_ms)
    return (
        name, f"{rate:,.0f}", f"{median(loads, lambda load: load.p50_ms):.1f}", f"{p99:.1f}",
        f"{rate / other_rate:.2f}", f"{p99 / other_p99:.2f}",
    )  # fmt: skip


def run(size: Size) -> None:
    """Measure both in turn, and write the table."""
    rounds, seconds = size.pick(5, 3, 1), size.pick(8, 5, 1)
    with places() as (home, ports):
        headers = {"Content-Type": "application/json"}
        servers = ((presagio(home, ports), headers | token(home)), (limit(free_port()), headers))
        runs: dict[str, list[Run]] = {server.name: [] for server, _ in servers}
        for _ in range(rounds):
            for server, its_headers in servers:
                runs[server.name].append(_measure(server, its_headers, seconds))
        first = [first_answer_s(*servers[0]) for _ in range(rounds)]
    ours, limits = runs.values()
    rows = [
        _row(f"{server.name}, {when}", [getattr(run, part) for run in measured],
             [getattr(run, part) for run in limits])
        for part, when in (("fresh", "first second after ready"), ("settled", "settled"))
        for (server, _), measured in zip(servers, runs.values(), strict=True)
    ]  # fmt: skip
    header = (
        "one row a request, 16 connections", "requests/s", "p50 ms", "p99 ms",
        "rate, x the limit's", "p99, x the limit's",
    )  # fmt: skip
    note = (
        f"One worker each, median of {rounds} processes in turn; settled: {seconds} s of requests "
        f"after {_FRESH_S + _WARM_S} s of them. Presagio with authentication, metrics and "
        "recording of answers into S3. From start to first answer with the bundled model: "
        f"{statistics.median(first):.1f} s, to ready: "
        f"{statistics.median(run.ready_s for run in ours):.1f} s (the limit: "
        f"{statistics.median(run.ready_s for run in limits):.1f} s). Bars: 2 x the limit's p99 "
        "from the first second on; aim: 1.3 x its rate."
    )
    body = f"{note}\n\n{table(header, rows)}"
    write("serving", body, size, part="serving-fresh", after="serving")
