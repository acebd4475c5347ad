"""Whole files over HTTP: rows a second of each format, and the worker's memory after it."""

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
import polars as pl
import psutil

from bench.report import table, write
from bench.servers import ask, presagio, running
from bench.serving import places, token
from bench.sizes import Size
from presagio.machine.simulation import simulate
from presagio.machine.spec import load_spec

_KINDS = {
    "Parquet": ("rows.parquet", "application/vnd.apache.parquet"),
    "Arrow": ("rows.arrows", "application/vnd.apache.arrow.stream"),
    "CSV": ("rows.csv", "text/csv"),
    "NDJSON": ("rows.ndjson", "application/x-ndjson"),
}


@dataclass(frozen=True)
class File:
    """Rows a second of a format, and the memory of the worker and its children after it, MiB."""

    kind: str
    rows: float
    resident: float


def _resident_mib(process: psutil.Process) -> float:
    family = [process, *process.children(recursive=True)]
    return float(sum(member.memory_info().rss for member in family)) / 2**20


def _write_files(folder: Path, rows: int) -> None:
    spec = load_spec()
    frame = pl.concat(simulate(spec, rows, seed=9)).select(spec.input_names)
    frame.write_parquet(folder / "rows.parquet")
    frame.write_csv(folder / "rows.csv")
    frame.write_ipc_stream(folder / "rows.arrows")
    frame.write_ndjson(folder / "rows.ndjson")


def _fastest_s(url: str, raw: bytes, headers: dict[str, str]) -> float:
    seconds = []
    for _ in range(3):
        began = time.monotonic()
        answer = httpx.post(url, content=raw, headers=headers, timeout=300)
        seconds.append(time.monotonic() - began)
        assert answer.status_code == httpx.codes.OK, answer.text[:200]
    return min(seconds)


def run(size: Size) -> None:
    """Measure each format, and write the table."""
    rows, warm_s = size.pick(1_000_000, 1_000_000, 20_000), size.pick(8, 8, 1)
    with places() as (home, ports), tempfile.TemporaryDirectory() as scratch:
        _write_files(Path(scratch), rows)
        server, headers = presagio(home, ports), token(home)
        with running(server) as process:
            ask(server, headers | {"Content-Type": "application/json"}, warm_s)
            resident, found = _resident_mib(process), []
            for kind, (name, media) in _KINDS.items():
                raw = (Path(scratch) / name).read_bytes()
                seconds = _fastest_s(f"{server.url}/batch", raw, headers | {"Content-Type": media})
                found.append(File(kind, rows / seconds, _resident_mib(process)))
                print(found[-1], flush=True)
    many = table(
        (f"a file of {rows:,} rows over HTTP", "rows/s", "resident MiB after it"),
        [(file.kind, f"{file.rows:,.0f}", f"{file.resident:.0f}") for file in found],
    )
    note = (
        "One worker, best of 3, answered in the kind that was sent. Resident, the processes that "
        f"read files included, after {warm_s} s of requests of one row: {resident:.0f} MiB."
    )
    write("files", f"{note}\n\n{many}", size)
