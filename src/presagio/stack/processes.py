"""Start a service in a session of its own, end it with all it started, find what is left over."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from presagio.stack.layout import Layout

if TYPE_CHECKING:
    from presagio.stack.service import Service

# Beside the working directory, the mark by which processes of a stack are found again. Programs
# that write their own title overwrite the one or keep the other.
MARK = "PRESAGIO_STACK_HOME"
_LOG_LIMIT_BYTES = 10 * 2**20


def _make_room(log: Path) -> None:
    """Put a long log file aside as ``.old``, in place of the one before."""
    if log.exists() and log.stat().st_size > _LOG_LIMIT_BYTES:
        log.replace(log.with_suffix(".log.old"))


def start(service: "Service", layout: Layout) -> subprocess.Popen[bytes]:
    """Start a service; its output goes to its log file, its children into its session."""
    account = service.account
    _make_room(layout.log(service.name))
    with layout.log(service.name).open("ab") as log:
        return subprocess.Popen(
            service.command,
            cwd=layout.work if account is None else "/",
            env={**service.env, MARK: str(layout.home)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=None if account is None else [],
        )


def signal_group(group: int, number: signal.Signals) -> bool:
    """Send a signal to a process group; False when nothing is left of it."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    except PermissionError:
        # macOS says so of a group of which only zombies are left.
        return False
    return True


def _belongs(process: psutil.Process, layout: Layout) -> bool:
    try:
        where = Path(process.cwd())
        if where in (layout.work, layout.postgres):
            return True
        return process.environ().get(MARK) == str(layout.home)
    except (psutil.Error, OSError):
        return False


def left_over(layout: Layout, *, spare: Iterable[int] = ()) -> list[psutil.Process]:
    """Find processes of a stack, whoever started them, other than this one and those spared."""
    kept = {os.getpid(), *spare}
    return [
        process
        for process in psutil.process_iter()
        if process.pid not in kept and _belongs(process, layout)
    ]


def end(processes: list[psutil.Process], *, grace_s: float = 10.0) -> None:
    """End processes, politely first; PostgreSQL's own way out is SIGINT."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            polite = signal.SIGINT if process.name() == "postgres" else signal.SIGTERM
            process.send_signal(polite)
    _, alive = psutil.wait_procs(processes, timeout=grace_s)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=5.0)


def stop_all(running: list[tuple[subprocess.Popen[bytes], signal.Signals]], grace_s: float) -> None:
    """Stop services: the leader is asked, and what its session still holds afterwards is killed.

    Parameters
    ----------
    running
        Leaders with the signal that each is asked with; stopped at the same time.
    grace_s
        Seconds until those that are still there are killed.
    """
    for process, number in running:
        if process.poll() is None:
            process.send_signal(number)
    deadline = time.monotonic() + grace_s
    for process, _ in running:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=max(0.0, deadline - time.monotonic()))
    for process, _ in running:
        signal_group(process.pid, signal.SIGKILL)
        process.wait()
