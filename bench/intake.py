"""The intake at size: a gigabyte in one file, a thousand files at once, 100,000 in the prefix."""

import os
import random
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psutil

from bench.cleaning import make_file
from bench.report import table, write
from bench.running import HEADER, Stack, running_stack
from bench.sizes import Size
from presagio.ingest.incoming import incoming_files, plan_batches
from presagio.ingest.opening import open_intake
from presagio.settings import Prefixes
from presagio.storage.fleets import find_fleet

# A gigabyte, and a quarter of one.
_LARGE, _QUARTER = 14_400_000, 3_600_000
_ROWS_OF_A_FILE = 100
_LIMIT_S = 300.0


def _one_large_file(stack: Stack, folder: Path, number: int) -> list[tuple[object, ...]]:
    """File a gigabyte from S3 to S3 in a process of its own, and watch its memory."""
    path = folder / "large.csv"
    make_file(path, number)
    size = path.stat().st_size
    stack.store.create_bucket("bench-large")
    stack.store.upload("bench-large", "incoming/large.csv", path)
    path.unlink()
    began, most, spool = time.monotonic(), 0, folder / "spool"
    spool.mkdir()
    env = {
        "PRESAGIO_S3_BUCKET": "bench-large", "PRESAGIO_DATA_BUCKET": "bench-large",
        "TMPDIR": str(spool),
    }  # fmt: skip
    worker = psutil.Popen(
        [sys.executable, "-m", "presagio", "ingest", "sweep"],
        env=os.environ | {"PRESAGIO_HOME": str(stack.home)} | env,
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    while worker.poll() is None:
        most = max(most, _bytes_below(spool))
        time.sleep(0.1)
    out = worker.stdout.read() if worker.stdout else ""
    seconds = time.monotonic() - began
    peak = _peak_of_children() / 2**20
    assert "processed" in out, out
    return [
        (f"one file of {size / 2**20:,.0f} MiB, {number:,} rows, S3 to S3: "
         "largest resident memory", f"{peak:,.0f} MiB", "512 MiB"),
        ("time for it, originals, CSV and Parquet included: one transaction",
         f"{seconds:.0f} s, {size / seconds / 1e6:.0f} MB/s", ""),
        ("most space that it took under `TMPDIR`", f"{most / size:.1f} times its size", ""),
    ]  # fmt: skip


def _bytes_below(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        # Outputs are removed as they are stored.
        with suppress(FileNotFoundError):
            total += path.stat().st_size
    return total


def _peak_of_children() -> int:
    import resource  # noqa: PLC0415 - POSIX only, as this benchmark is

    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024


def _body(number: int) -> bytes:
    chance = random.Random(number)
    rows = (f"L,300,310,1500,{chance.random() * 100:.6f},10\n" for _ in range(_ROWS_OF_A_FILE))
    return (HEADER + "".join(rows)).encode()


def many_files(stack: Stack, files: int) -> list[tuple[object, ...]]:
    """Drop a thousand files at once on the running stack, and wait for all of them."""
    began = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        list(
            pool.map(
                lambda i: stack.store.write("csv-data", f"incoming/many/{i:04}.csv", _body(i)),
                range(files),
            )
        )
    dropped = time.monotonic()
    while True:
        done = sum(1 for _ in stack.store.list("csv-data", "processed/many/"))
        left = sum(1 for _ in stack.store.list("csv-data", "incoming/many/"))
        if done == files and not left:
            break
        assert time.monotonic() - began < _LIMIT_S
        time.sleep(1.0)
    seconds = time.monotonic() - began
    rows = sum(
        r.outcome.rows_processed
        for r in stack.receipts(bucket="csv-data")
        if r.identity.key.startswith("incoming/many/")
    )
    assert rows == files * _ROWS_OF_A_FILE
    return [
        (f"{files:,} files of {_ROWS_OF_A_FILE} rows dropped at once (in "
         f"{dropped - began:.0f} s): until all are processed, from the first drop",
         f"{seconds:.0f} s", "60 s"),
    ]  # fmt: skip


def _fill_prefixes(home: Path, sizes: tuple[int, ...]) -> None:
    """Put objects on the server's disk: sending them all would take longer than measuring."""
    for size in sizes:
        folder = home / "s3" / f"bench-{size}" / "incoming"
        folder.mkdir(parents=True)
        for i in range(size):
            (folder / f"{i:06}.csv").write_bytes(b"x")


def _full_prefix(stack: Stack, sizes: tuple[int, ...]) -> list[tuple[object, ...]]:
    """List and plan for prefixes of several sizes."""
    rows: list[tuple[object, ...]] = []
    for size in sizes:
        bucket = f"bench-{size}"
        prefixes = Prefixes(bucket=bucket, curated_bucket=bucket)
        intake = open_intake(find_fleet(stack.settings), prefixes)
        began, cpu = time.monotonic(), time.process_time()
        batches = plan_batches(intake, most_files=size)
        whole, busy = time.monotonic() - began, time.process_time() - cpu
        assert sum(len(batch.keys) for batch in batches) == size
        began = time.monotonic()
        plan_batches(intake)
        one_round = time.monotonic() - began
        began = time.monotonic()
        next(incoming_files(intake.store, prefixes))
        first = time.monotonic() - began
        intake.ledger.close()
        rows.append(
            (f"{size:,}", f"{whole:.1f} s", f"{busy:.1f} s", f"{busy / size * 1e6:.0f} µs",
             f"{one_round:.1f} s", f"{first:.2f} s")
        )  # fmt: skip
    return rows


def run(size: Size) -> None:
    """Measure, and write the tables."""
    sizes: tuple[int, ...] = size.pick(
        (12_500, 25_000, 50_000, 100_000), (12_500, 25_000), (10, 20)
    )
    files, number = size.pick(1000, 1000, 5), size.pick(_LARGE, _QUARTER, 10_000)
    with (
        tempfile.TemporaryDirectory(prefix="presagio-bench-") as scratch,
        running_stack(lambda home: _fill_prefixes(home, sizes)) as stack,
    ):
        curve = _full_prefix(stack, sizes)
        print(curve)
        rows = many_files(stack, files)
        rows += _one_large_file(stack, Path(scratch), number)
    header = (
        "objects in the prefix", "listing and planning all", "of it our own processor time",
        "that a file", "planning a round (10,000 files at most)", "one page of the server",
    )  # fmt: skip
    body = f"{table(('what', 'measured', 'bar'), rows)}\n\n{table(header, curve)}"
    write("intake", body, size)
