"""A stack for a benchmark: this checkout's, in a home of its own, on ports of its own."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import psutil

from presagio.ingest.opening import open_intake
from presagio.settings import Settings, load_settings
from presagio.stack.layout import Layout
from presagio.stack.ports import free_ports, port_options
from presagio.stack.processes import left_over
from presagio.storage.fleets import find_fleet
from presagio.storage.objects import ObjectStore, open_store

HEADER = (
    "Type,Air temperature [K],Process temperature [K],Rotational speed [rpm],Torque [Nm],"
    "Tool wear [min]\n"
)


@dataclass(frozen=True)
class Stack:
    """A running stack by its home."""

    home: Path

    @cached_property
    def settings(self) -> Settings:
        """The stack's addresses and secrets."""
        return load_settings(self.home)

    @cached_property
    def store(self) -> ObjectStore:
        """The stack's object store."""
        return open_store(self.settings)

    def presagio(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run a command on the stack."""
        return subprocess.run(
            [sys.executable, "-m", "presagio", *arguments],
            check=True, capture_output=True, text=True,
            env=os.environ | {"PRESAGIO_HOME": str(self.home)} | env,
        )  # fmt: skip

    def services(self) -> list[dict[str, Any]]:
        """Return what the stack says of its services."""
        return list(json.loads(self.presagio("status", "--json").stdout)["services"])

    def processes(self, name: str) -> list[psutil.Process]:
        """Return the stack's processes with a name in their command line."""
        found = left_over(Layout(self.home))
        return [process for process in found if name in " ".join(process.cmdline())]

    def receipts(self, **wanted: Any) -> list[Any]:
        """Return receipts of the ledger."""
        intake = open_intake(find_fleet(self.settings))
        try:
            return intake.ledger.receipts(limit=None, **wanted)
        finally:
            intake.ledger.close()


@contextmanager
def running_stack(
    prepare: Callable[[Path], None] | None = None, *, env: dict[str, str] | None = None
) -> Iterator[Stack]:
    """Run a stack, and leave nothing of it; ``prepare`` may fill its home before it starts."""
    with tempfile.TemporaryDirectory(prefix="presagio-bench-") as folder:
        stack = Stack(Path(folder) / "home")
        if prepare is not None:
            prepare(stack.home)
        try:
            stack.presagio("up", "--detach", *port_options(free_ports()), **(env or {}))
            assert json.loads(stack.presagio("status", "--json").stdout)["phase"] == "healthy"
            yield stack
        finally:
            stack.presagio("down")


def percentile(values: list[float], share: float) -> float:
    """Return the smallest value that at least a share of all do not exceed."""
    ranked = sorted(values)
    return ranked[max(0, -(-int(len(ranked) * share * 100) // 100) - 1)]
