"""Run one function over many tasks, each once: in processes of this machine."""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Protocol, TypeVar

from presagio.readings.process.memory import limit_memory
from presagio.settings import Settings

T = TypeVar("T")
R = TypeVar("R")
Work = Callable[[Settings, T], R]
_THREADS = (
    "POLARS_MAX_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS",
    # What joblib takes for the number of processors.
    "LOKY_MAX_CPU_COUNT",
)  # fmt: skip
# Polars reads ahead of whoever takes its batches: with its defaults by 80 MiB, and no faster.
_SHORT_BUFFERS = dict.fromkeys(
    (
        "POLARS_ROW_GROUP_PREFETCH_SIZE", "POLARS_DEFAULT_LINEARIZER_BUFFER_SIZE",
        "POLARS_DEFAULT_DISTRIBUTOR_BUFFER_SIZE",
    ), "1",
)  # fmt: skip
_LOOK_S = 1.0
ENDED = "its process ended each time that it was read: it harms its reader, or memory is lacking"
# So often a task is tried alone: it may have waited only while another one did the harm.
_TRIES = 2


class Engine(Protocol):
    """Runs tasks; each result comes once, in any order."""

    def run(self, work: Work[T, R], tasks: Iterable[T], lost: Callable[[T, str], R]) -> Iterator[R]:
        """Yield the result of each task.

        Parameters
        ----------
        work
            A function of a module, or a partial of one, so that other processes find it. It is
            called with settings and a task, and raises nothing for what is wrong with a task.
        tasks
            What it is called with; taken as they are needed.
        lost
            Makes the result of a task whose process has ended, and says why.
        """


def cores() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_work: Callable[[Any], Any] | None = None


def _leave_with(parent: int) -> None:
    """End this process when its parent is gone: nobody takes the results."""
    while os.getppid() == parent:
        time.sleep(_LOOK_S)
    os._exit(1)


def _start(work: Work[Any, Any], settings: Settings, parent: int, memory: int | None) -> None:
    global _work  # noqa: PLW0603 - one process, one function
    # Ctrl-C is the parent's.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_leave_with, args=(parent,), daemon=True).start()
    _work = _bound(work, settings)
    if memory is not None:
        limit_memory(memory)


def _bound(work: Work[T, R], settings: Settings) -> Callable[[T], R]:
    return lambda task: work(settings, task)


def _call(task: Any) -> Any:
    if _work is None:
        raise RuntimeError("the process was not started by an engine")
    return _work(task)


def worker_variables(threads: int) -> dict[str, str]:
    """Return what a worker's libraries find in the environment, where they ask at import."""
    return dict.fromkeys(_THREADS, str(threads)) | _SHORT_BUFFERS


@contextlib.contextmanager
def _new_processes(threads: int) -> Iterator[None]:
    """Let processes that are started meanwhile have so many threads."""
    wanted = worker_variables(threads)
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    # A new process would import the program that this one began with, to find functions in it.
    # There are none, and Airflow's cannot be imported where a task runs.
    main, sys.modules["__main__"] = sys.modules["__main__"], ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@dataclass(frozen=True)
class LocalEngine:
    """Processes of this machine, each with its share of the processors.

    A process that a file ends (a crash in a parser, too much memory) is replaced; what it was busy
    with is tried again, alone.

    Attributes
    ----------
    settings
        What tasks are given.
    workers
        How many processes.
    memory_bytes
        Address space that a process may take beyond what it starts with; None: as much as there is.
    """

    settings: Settings
    workers: int
    memory_bytes: int | None = None

    def run(self, work: Work[T, R], tasks: Iterable[T], lost: Callable[[T, str], R]) -> Iterator[R]:
        """Yield the result of each task; as of :meth:`Engine.run`."""
        rest = iter(tasks)
        while True:
            suspects: list[T] = []
            yield from self._together(work, rest, self.workers, suspects)
            if not suspects:
                return
            for task in suspects:
                yield from self._alone(work, task, lost)

    def _alone(self, work: Work[T, R], task: T, lost: Callable[[T, str], R]) -> Iterator[R]:
        for _ in range(_TRIES):
            again: list[T] = []
            yield from self._together(work, iter([task]), 1, again)
            if not again:
                return
        yield lost(task, ENDED)

    def _open(self, work: Work[T, R], workers: int) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            workers, mp_context=multiprocessing.get_context("spawn"), initializer=_start,
            initargs=(work, self.settings, os.getpid(), self.memory_bytes),
        )  # fmt: skip

    def _together(
        self, work: Work[T, R], rest: Iterator[T], workers: int, suspects: list[T]
    ) -> Iterator[R]:
        """Run tasks until there are none, or a process ends; then say what was being done."""
        running: dict[Future[R], T] = {}
        pool = self._open(work, workers)
        ended: set[Future[R]] = set()
        try:
            while not suspects:
                # One more than there are processes, so that none waits for this one.
                self._submit(pool, rest, running, workers + 1 - len(running))
                if not running:
                    return
                ended, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in ended:
                    task = running.pop(future)
                    if isinstance(future.exception(), BrokenProcessPool):
                        suspects.append(task)
                    else:
                        yield future.result()
            suspects += running.values()
        finally:
            processes = [*(pool._processes or {}).values()]  # noqa: SLF001 - nobody else ends them
            pool.shutdown(wait=not running, cancel_futures=True)
            for process in processes if running else ():
                process.kill()
                process.join()

    def _submit(
        self, pool: ProcessPoolExecutor, rest: Iterator[T], running: dict[Future[R], T], count: int
    ) -> None:
        with _new_processes(max(1, cores() // self.workers)):
            for _ in range(count):
                if (task := next(rest, None)) is None:
                    return
                try:
                    running[pool.submit(_call, task)] = task
                except BrokenProcessPool as err:
                    future: Future[R] = Future()
                    future.set_exception(err)
                    running[future] = task
                    return
