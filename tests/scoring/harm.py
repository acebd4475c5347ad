"""Work for engines that harms the process that does it."""

import os
import signal
import time
from pathlib import Path

from presagio.settings import Settings


def careful(settings: Settings, task: tuple[int, str]) -> tuple[int, str, int]:
    """Do what a task says, and return it with the process that did it."""
    assert isinstance(settings, Settings)
    number, order = task
    if order == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if order.startswith("die once "):
        mark = Path(order.removeprefix("die once "))
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
    if order == "eat":
        b"x" * (8 << 30)
    if order == "wait":
        time.sleep(60)
    if order == "threads":
        return number, os.environ["OMP_NUM_THREADS"], os.getpid()
    return number, order, os.getpid()


def lost(task: tuple[int, str], why: str) -> tuple[int, str, int]:
    """Return what became of a task whose process has ended."""
    return task[0], why, 0
