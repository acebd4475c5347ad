"""From a fresh clone to all healthy, a second start, memory when idle, and the intake's latency."""

import json
import os
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.report import ROOT, table, write
from bench.running import HEADER
from bench.sizes import Size
from presagio.stack.layout import Layout
from presagio.stack.ports import free_ports, port_options
from presagio.stack.processes import left_over

_PAUSE_S = 10.0


@dataclass(frozen=True)
class Memory:
    """Resident memory of a stack, MiB: shared pages counted once (PSS), and in each process."""

    proportional: float
    summed: float
    processes: int


class Clone:
    """A fresh clone of this repository, with a stack of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "presagio"
        self.home = self.folder / ".presagio"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(self.folder)], check=True)

    def timed(self, *command: str) -> float:
        """Run a command in the clone and return its seconds."""
        began = time.monotonic()
        subprocess.run(command, check=True, cwd=self.folder, stdout=subprocess.DEVNULL)
        return time.monotonic() - began

    def presagio(self, *arguments: str) -> Any:
        """Run a command of the clone and return what it printed as JSON."""
        done = subprocess.run(
            [str(self.folder / ".venv/bin/presagio"), *arguments, "--json"],
            check=True, cwd=self.folder, capture_output=True, text=True,
            env=os.environ | {"PRESAGIO_HOME": str(self.home)},
        )  # fmt: skip
        return json.loads(done.stdout)

    def memory(self) -> Memory:
        """Measure the stack's processes."""
        found = [process.memory_full_info() for process in left_over(Layout(self.home))]
        mib = 2**20
        return Memory(
            sum(getattr(info, "pss", info.rss) for info in found) / mib,
            sum(info.rss for info in found) / mib,
            len(found),
        )

    def timeline(self) -> str:
        """Return when each service was started, and how long it took, as a table."""
        services = self.presagio("status")["services"]
        return table(
            ("service", "started after", "healthy or done after"),
            [
                (f"`{s['name']}`", f"{s['after']:.1f} s", f"{s['after'] + s['seconds']:.1f} s")
                for s in sorted(services, key=lambda s: float(s["after"]))
            ],
        )

    def latency(self, number: int) -> float:
        """Drop a file on the idle stack and return the seconds until it is filed."""
        file = self.folder / f"drop-{number}.csv"
        file.write_text(f"{HEADER}L,300,310,1500,40,{number}\n", encoding="utf-8")
        self.presagio("ingest", str(file), "--wait")
        receipt = self.presagio("receipts", "--limit", "1")
        processed = self.home / "s3" / "csv-data" / receipt["processed_key"]
        # From the writing of the file, a second before its upload, to that of the clean rows.
        return float(processed.stat().st_mtime - file.stat().st_mtime)


def run(size: Size) -> None:
    """Measure, and write the table."""
    drops, settle_s = size.pick(7, 3, 1), size.pick(45.0, 20.0, 1.0)
    with tempfile.TemporaryDirectory(prefix="presagio-bench-") as folder:
        clone = Clone(Path(folder))
        up = (".venv/bin/presagio", "up", "--detach", *port_options(free_ports()))
        setup = clone.timed("make", "setup")
        first = clone.timed(*up)
        try:
            timeline = clone.timeline()
            time.sleep(settle_s)
            latencies = []
            for number in range(drops):
                time.sleep(_PAUSE_S)  # until the watcher waits again
                latencies.append(clone.latency(number))
            time.sleep(settle_s)
            memory = clone.memory()
            down = clone.timed(".venv/bin/presagio", "down")
            second = clone.timed(*up)
        finally:
            clone.timed(".venv/bin/presagio", "down")
    rows: list[tuple[object, ...]] = [
        ("`make setup` in a fresh clone, packages cached", f"{setup:.0f} s", ""),
        ("first `presagio up` to all healthy, champion trained", f"{first:.0f} s", "60 s"),
        ("both together", f"{setup + first:.0f} s", "180 s"),
        ("second `presagio up`", f"{second:.0f} s", "60 s"),
        ("`presagio down`", f"{down:.0f} s", ""),
        (f"idle memory, {memory.processes} processes, shared pages once (PSS)",
         f"{memory.proportional:,.0f} MiB", "2.5 GB"),
        ("idle memory, resident sizes summed (shared pages in each)",
         f"{memory.summed:,.0f} MiB", ""),
        (f"idle latency, drop to processed, the command's own start included: median of {drops}",
         f"{statistics.median(latencies):.1f} s", "10 s"),
        ("the slowest of them", f"{max(latencies):.1f} s", "10 s"),
    ]  # fmt: skip
    tables = f"{table(('what', 'measured', 'bar'), rows)}\n\nThe first start:\n\n{timeline}"
    write("stack", tables, size)
