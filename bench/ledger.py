"""The ledger at a million receipts: each question that is asked of it, its time and its memory.

``BENCH_RECEIPTS=10000000`` asks again at that many; what takes minutes there is left out.
"""

import math
import multiprocessing
import os
import statistics
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from uuid import uuid4

import sqlalchemy as sa

from bench.receipts import BUCKET, FILES_OF_A_RUN, make_receipts
from bench.report import table, write
from bench.servers import services
from bench.sizes import Size
from presagio.ingest.verdict import BLOCKING
from presagio.stack.ports import free_ports
from presagio.storage.ledger import Ledger
from presagio.storage.parts_of_units import ListedPart, UnitTimes
from presagio.storage.receipt import FilingOutcome, ObjectIdentity

_NAMES = frozenset({"postgres", "databases"})
_PAGE = 1000
_KEY = "incoming/line-0/20000.csv"


def _seen(receipts: Iterable[object]) -> None:
    deque(receipts, maxlen=0)


def _parts(ledger: Ledger, *, newest_first: bool) -> list[ListedPart]:
    """Return the first parts of a unit."""
    always = UnitTimes(["unit-7"], [-math.inf], [math.inf])
    with ledger.parts_of_units(BUCKET) as parts:
        return parts.listed(always, passed=0, count=100, newest_first=newest_first)


def file_one(ledger: Ledger) -> None:
    """File an object of a row or two, as the intake does, without its store."""
    number = uuid4().hex
    identity = ObjectIdentity(BUCKET, f"incoming/new/{number}.csv", "etag", number, 1)
    outcome = FilingOutcome("processed", 2, 1, 1, {"missing": 1}, archive_key=f"archive/{number}")
    with ledger.filing(ledger.claim(identity, [f"{number}.csv"])) as filing:
        filing.same_bytes()
        filing.commit_receipt(outcome, "bench")


# Questions that are asked again and again, or that somebody waits for.
QUESTIONS: Mapping[str, Callable[[Ledger], object]] = {
    "exporter: sums of all receipts": lambda ledger: ledger.totals(),
    "planning a round: claims that are open": lambda ledger: ledger.open_claims(BUCKET),
    f"end of a round: sums of a run of {FILES_OF_A_RUN:,} files": lambda ledger: ledger.filed_in(
        BUCKET, "run-1"
    ),
    "filing: claim, same bytes, receipt, commit": file_one,
    "`presagio receipts`": lambda ledger: ledger.receipts(limit=20),
    "`presagio receipts N`": lambda ledger: ledger.receipts(number=1001),
    "`presagio receipts --key`, `ingest --wait`": lambda ledger: ledger.receipts(key=_KEY),
    "`presagio receipts --verdict quarantined`": lambda ledger: ledger.receipts(
        verdict="quarantined", limit=20
    ),
    "`presagio ingest release`: does it block?": lambda ledger: ledger.blocking(
        BUCKET, BLOCKING, number=1500
    ),
    "training: files that keep it from starting": lambda ledger: ledger.blocking(
        BUCKET, BLOCKING, limit=21
    ),
    "training: new rows, of 10,000 wanted": lambda ledger: ledger.rows_after(
        BUCKET, 0, wanted=10_000, but_below="incoming/events/"
    ),
    f"training, verify: a page of {_PAGE:,} receipts": lambda ledger: _seen(
        islice(ledger.each_receipt(bucket=BUCKET, verdict="processed", after=5000), _PAGE)
    ),
    f"drift: the newest {_PAGE:,} files": lambda ledger: _seen(
        islice(
            ledger.each_receipt(bucket=BUCKET, verdict="processed", newest_first=True), _PAGE
        )
    ),
    "a unit's readings: its 100 newest parts": lambda ledger: _seen(
        _parts(ledger, newest_first=True)
    ),
    "a unit's readings: its 100 oldest parts": lambda ledger: _seen(
        _parts(ledger, newest_first=False)
    ),
    f"feedback: the first {_PAGE:,} files of outcomes": lambda ledger: _seen(
        islice(ledger.receipts_below(BUCKET, "incoming/feedback/", "processed"), _PAGE)
    ),
}  # fmt: skip
# What truly goes through all: it takes as long as there are receipts, and no memory.
_IN_PAGES = "training, verify: all receipts, in pages"
PASSES: Mapping[str, Callable[[Ledger], object]] = {
    _IN_PAGES: lambda ledger: _seen(ledger.each_receipt(bucket=BUCKET)),
    "verify: do the sums agree with the receipts?": lambda ledger: ledger.wrong_totals(),
    "`presagio ingest again`: files checked under another spec": lambda ledger: ledger.outdated(
        BUCKET, "another", of_events=None
    ),
}
_BEFORE: Mapping[str, Callable[[Ledger], object]] = {
    "before, drift and feedback: all receipts at once": lambda ledger: ledger.receipts(limit=None)
}
# With ten million receipts it takes ten times as long, and all at once ten times the memory.
_LONG = (_IN_PAGES, *_BEFORE)


@dataclass(frozen=True)
class Cost:
    """Median time of a question in seconds, and how much memory was taken till its end, in MB."""

    seconds: float
    growth_mb: float


def _memory_mb(name: str) -> float:
    """Return a line of the process's memory: what it has (VmRSS) or has had at most (VmHWM)."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024


def _ask(url: str, names: list[str], repeats: int) -> dict[str, Cost]:
    """Measure questions in a process of their own, whose memory it is."""
    ledger, found = Ledger(sa.create_engine(url)), dict[str, Cost]()
    ledger.receipts(number=1)
    # From here on the most is counted anew.
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = _memory_mb("VmRSS")
    for name in names:
        ask, seconds = {**QUESTIONS, **PASSES, **_BEFORE}[name], []
        for _ in range(repeats):
            began = time.perf_counter()
            ask(ledger)
            seconds.append(time.perf_counter() - began)
        found[name] = Cost(statistics.median(seconds), _memory_mb("VmHWM") - before)
    return found


def _costs(url: str, names: Iterable[str], repeats: int) -> dict[str, Cost]:
    """Measure in a new process, which shares no memory with this one."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_ask, url, list(names), repeats).result()


def _filings_a_second(url: str, threads: int, number: int) -> float:
    """File from several connections at once; all add to the same sums."""
    ledger, start = Ledger(sa.create_engine(url, pool_size=threads)), threading.Barrier(threads)

    def work(_: int) -> None:
        start.wait()
        for _ in range(number):
            file_one(ledger)

    began = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, range(threads)))
    ledger.close()
    return threads * number / (time.perf_counter() - began)


def _rows(
    sizes: list[int], costs: list[dict[str, Cost]], names: Iterable[str]
) -> list[tuple[object, ...]]:
    def cells(cost: Cost | None) -> tuple[str, str]:
        if cost is None:
            return "", ""
        seconds = cost.seconds
        took = f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.1f} s"
        return took, f"{cost.growth_mb:.0f} MB"

    return [
        (name, *(cell for cost in costs[: len(sizes)] for cell in cells(cost.get(name))))
        for name in names
    ]


def run(size: Size) -> None:
    """Measure, and write the tables."""
    sizes = [size.pick(1_000_000, 100_000, 20_000)]
    if (more := int(os.environ.get("BENCH_RECEIPTS", "0"))) > sizes[0]:
        sizes.append(more)
    repeats, threads = size.pick(7, 7, 1), 8
    costs: list[dict[str, Cost]] = []
    with (
        tempfile.TemporaryDirectory(prefix="presagio-bench-") as folder,
        services(Path(folder), free_ports(), _NAMES) as settings,
    ):
        assert settings.database_url is not None
        url = settings.database_url.get_secret_value()
        engine, made = sa.create_engine(url), 0
        for number in (sizes[0], *(more - less for less, more in pairwise(sizes))):
            began = time.monotonic()
            make_receipts(engine, made + 1, made + number, at_once=True)
            print(f"{number:,} receipts: {time.monotonic() - began:.0f} s", flush=True)
            # The questions file some as well.
            made += number + 1000
            found = _costs(url, QUESTIONS, repeats)
            for one in [one for one in (*PASSES, *_BEFORE) if not costs or one not in _LONG]:
                found |= _costs(url, [one], 1)
            costs.append(found)
            print(found, flush=True)
        filings = _filings_a_second(url, threads, size.pick(500, 200, 5))
        assert Ledger(engine).wrong_totals() == []
        engine.dispose()
    heads = tuple(head for n in sizes for head in (f"{n:,} receipts", "memory"))
    asked = table((f"question, median of {repeats}; bar 100 ms and 200 MB", *heads),
                  _rows(sizes, costs, QUESTIONS))  # fmt: skip
    passed = table(("pass over everything", *heads), _rows(sizes, costs, (*PASSES, *_BEFORE)))
    many = f"{threads} connections file {filings:,.0f} receipts a second, sums included."
    note = f"With `BENCH_RECEIPTS={sizes[-1]}`.\n\n" if len(sizes) > 1 else ""
    write("ledger", f"{note}{asked}\n\n{passed}\n\n{many}", size)
