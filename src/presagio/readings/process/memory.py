"""How much memory a process that reads files which nobody trusts may take."""

import contextlib
import resource
from pathlib import Path

import polars as pl


def status_bytes(name: str) -> int:
    """Return a size of this process in bytes, as ``/proc`` has it; 0 where there is none."""
    with contextlib.suppress(OSError), Path("/proc/self/status").open(encoding="ascii") as file:
        for line in file:
            if line.startswith(name):
                return int(line.split()[1]) << 10
    return 0


def limit_memory(most_bytes: int) -> int:
    """Limit the address space of this process, and let it go first where the system lacks memory.

    Parameters
    ----------
    most_bytes
        What it may take beyond what it has now.

    Returns
    -------
    int
        How many bytes it has now.
    """
    # Polars' threads and their stacks are counted as what is there already.
    pl.LazyFrame({"a": [1.0]}).select(pl.col("a").cast(pl.String)).collect(engine="streaming")
    taken = status_bytes("VmSize:")
    if taken:
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        wanted = taken + most_bytes
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_AS, (most, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Where the whole system lacks memory, this process goes before the one that it reads for.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    return taken
