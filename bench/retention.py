"""Retention at size: old receipts and originals removed in batches, beside files that are filed.

Half of two million receipts are of duplicates, and all are old. The store is left out: what it
takes to remove an object is its affair, and a batch asks it once.
"""

import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from bench.ledger import file_one
from bench.receipts import BUCKET, make_receipts
from bench.report import table, write
from bench.servers import services
from bench.sizes import Size
from presagio.ingest.verdict import BLOCKING
from presagio.jobs.retention import AT_ONCE
from presagio.stack.ports import free_ports
from presagio.storage.ledger import Ledger
from presagio.storage.retention import Kept

_NAMES = frozenset({"postgres", "databases"})
_TABLES = ("receipts", "claims", "removed_originals")
_LOCKS = (
    "SELECT count(*), count(*) FILTER (WHERE locktype = 'advisory'), "
    "count(*) FILTER (WHERE mode IN ('ExclusiveLock', 'AccessExclusiveLock', 'ShareLock', "
    "'ShareRowExclusiveLock') AND locktype = 'relation') FROM pg_locks "
    "JOIN pg_database ON pg_database.oid = pg_locks.database WHERE datname = current_database()"
)
_SAMPLE_S = 0.05


@dataclass
class Batches:
    """What removing in batches came to."""

    removed: int = 0
    seconds: list[float] = field(default_factory=list)
    locks: int = 0
    advisory: int = 0
    on_tables: int = 0


def _remove_receipts(ledger: Ledger, before: datetime, kept: Kept) -> Iterator[int]:
    retention, after = ledger.retention(BUCKET), 0
    while True:
        with retention.removing_receipts(before, kept, after=after, limit=AT_ONCE) as old:
            old.remove()
        yield len(old.numbers)
        if old.last is None:
            return
        after = old.last


def _remove_originals(ledger: Ledger, before: datetime, kept: Kept) -> Iterator[int]:
    retention, after = ledger.retention(BUCKET), ""
    while True:
        keys, last = retention.mark_originals(before, kept, after=after, limit=AT_ONCE)
        with retention.removing_originals(keys) as going:
            pass
        yield len(going)
        if last is None:
            return
        after = last


@contextmanager
def _watched_locks(engine: sa.Engine, found: Batches) -> Iterator[None]:
    """Look at the locks of this database again and again; the most that were held count."""
    ended = threading.Event()

    def watch() -> None:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            while not ended.wait(_SAMPLE_S):
                held, advisory, on_tables = connection.execute(sa.text(_LOCKS)).one()
                found.locks, found.advisory = max(found.locks, held), max(found.advisory, advisory)
                found.on_tables = max(found.on_tables, on_tables)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _filings(ledger: Ledger, goes_on: Callable[[], bool]) -> list[float]:
    """File one object after another; how long each took, in seconds."""
    seconds = []
    while goes_on():
        began = time.perf_counter()
        file_one(ledger)
        seconds.append(time.perf_counter() - began)
    return seconds


def _measured(engine: sa.Engine, batches: Iterator[int]) -> tuple[Batches, list[float]]:
    """Remove in a thread, and file meanwhile."""
    found = Batches()

    def remove() -> None:
        began = time.perf_counter()
        for removed in batches:
            found.removed += removed
            found.seconds.append(time.perf_counter() - began)
            began = time.perf_counter()

    thread = threading.Thread(target=remove)
    with _watched_locks(engine, found):
        thread.start()
        filings = _filings(Ledger(engine), thread.is_alive)
    return found, filings


def _size_mb(engine: sa.Engine) -> tuple[float, int]:
    """Return what the tables take with their indexes, in MB, and how many dead rows they have."""
    query = sa.text(
        "SELECT sum(pg_total_relation_size(relid)) / 1e6, sum(n_dead_tup) "
        "FROM pg_stat_user_tables WHERE relname = ANY(:tables)"
    )
    with engine.connect() as connection:
        size, dead = connection.execute(query, {"tables": [*_TABLES]}).one()
    return float(size), int(dead)


def _vacuum(engine: sa.Engine) -> float:
    began = time.perf_counter()
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text(f"VACUUM (ANALYZE) {', '.join(_TABLES)}"))
    return time.perf_counter() - began


def _ms(seconds: list[float]) -> str:
    ordered = sorted(seconds)
    middle, worst = statistics.median(ordered), ordered[int(len(ordered) * 0.99)]
    return f"{middle * 1000:.1f} / {worst * 1000:.0f} ms"


def _row(name: str, found: Batches, filings: list[float]) -> tuple[object, ...]:
    total = sum(found.seconds)
    return (
        name, f"{found.removed:,}", f"{total:.0f} s", f"{found.removed / total:,.0f}",
        _ms(found.seconds), found.advisory, found.on_tables, _ms(filings),
    )  # fmt: skip


def run(size: Size) -> None:
    """Measure, and write the table."""
    number, filed = size.pick(2_000_000, 200_000, 4000), size.pick(500, 200, 5)
    with (
        tempfile.TemporaryDirectory(prefix="presagio-bench-") as folder,
        services(Path(folder), free_ports(), _NAMES) as settings,
    ):
        assert settings.database_url is not None
        engine = sa.create_engine(settings.database_url.get_secret_value())
        make_receipts(engine, 1, number, duplicates=500, at_once=True)
        ledger, before, left = Ledger(engine), datetime.now(UTC), iter(range(filed))
        alone = _filings(ledger, lambda: next(left, None) is not None)
        blocking = tuple(receipt.id for receipt in ledger.blocking(BUCKET, BLOCKING))
        sizes = [("before", *_size_mb(engine))]
        rows = []
        for name, remove in (("receipts", _remove_receipts), ("originals", _remove_originals)):
            found, filings = _measured(engine, remove(ledger, before, Kept(0, blocking)))
            rows.append(_row(name, found, filings))
            print(rows[-1], flush=True)
            sizes.append((f"{name} removed", *_size_mb(engine)))
        seconds = _vacuum(engine)
        sizes.append((f"vacuumed, {seconds:.0f} s", *_size_mb(engine)))
        assert ledger.wrong_totals() == []
        ledger.close()
    batches = table(
        ("removed", "number", "took", "a second", f"a batch of {AT_ONCE}: median / p99",
         "bytes locked at most", "tables locked against writing",
         "a filing meanwhile: median / p99"),
        rows,
    )  # fmt: skip
    taken = table(
        ("ledger", "receipts, claims and indexes", "dead rows"),
        [(name, f"{mb:,.0f} MB", f"{dead:,}") for name, mb, dead in sizes],
    )
    text = f"{number:,} receipts, half of duplicates. A filing alone: {_ms(alone)}."
    write("retention", f"{text}\n\n{batches}\n\n{taken}", size, after="ledger")
