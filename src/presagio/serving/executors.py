"""Threads for work that blocks: one pool for each kind, each with a bounded queue.

With one pool for all, slow passwords or a registry that hangs would hold up alarms. Here each kind
of work waits only for its own kind, and no more of it waits than its queue takes.
"""

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from http import HTTPStatus
from typing import ParamSpec, TypeVar

from presagio.serving.http.problems import RefusedError

P = ParamSpec("P")
R = TypeVar("R")

_RETRY_AFTER_S = 1
_BACKGROUND_NICENESS = 10


def _lower_priority() -> None:
    """Give the calling thread, and threads that it starts, less of the processor than others."""
    # Linux keeps a niceness for each thread; elsewhere all threads are alike.
    with contextlib.suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _BACKGROUND_NICENESS)


class Executor:
    """Threads for one kind of work, with a queue that refuses what it cannot hold.

    Parameters
    ----------
    name
        What kind of work: in thread names and in refusals.
    threads
        How many calls run at a time.
    waiting
        How many more may wait for a thread.
    background
        Whether the threads leave the processor to the event loop when both want it.
    """

    def __init__(self, name: str, *, threads: int, waiting: int, background: bool = False) -> None:
        self.name, self._most = name, threads + waiting
        self._pool = ThreadPoolExecutor(
            threads, f"presagio-{name}", initializer=_lower_priority if background else None
        )
        # A call that nobody awaits any more still holds its thread, so threads count as well.
        self._lock, self._held = threading.Lock(), 0

    @property
    def full(self) -> bool:
        """Whether the next call would be refused."""
        return self._held >= self._most

    async def run(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call a function in a thread, in this context, and return what it returns.

        Raises
        ------
        RefusedError
            503 with ``Retry-After``, if the queue is full.
        """
        if self.full:
            raise RefusedError(
                HTTPStatus.SERVICE_UNAVAILABLE, "busy", "Too many requests of this kind at a time",
                f"the queue of {self.name} holds {self._most}; try again",
                headers={"Retry-After": str(_RETRY_AFTER_S)},
            )  # fmt: skip
        return await self.resume(function, *args, **kwargs)

    async def resume(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call a function for a request that was admitted before; never refused."""
        return await asyncio.wrap_future(self.start(function, *args, **kwargs))

    def start(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> "Future[R]":
        """Call a function as :meth:`resume` does, and do not wait for it."""
        with self._lock:
            self._held += 1
        call = partial(copy_context().run, partial(function, *args, **kwargs))
        future: Future[R] = self._pool.submit(call)
        future.add_done_callback(self._release)
        return future

    def _release(self, _future: "Future[R]") -> None:
        with self._lock:
            self._held -= 1

    def close(self) -> None:
        """Start no further call; calls that run are not interrupted."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class Executors:
    """The executors of one worker process.

    Attributes
    ----------
    passwords
        Argon2: 64 MiB and all processors for each call, so one at a time.
    sign_ins
        Counts of attempts in the database that replicas share, which is not waited for long.
    explanations
        Diagnoses of alarms, a millisecond each; its queue holds as many requests as a worker
        answers at a time.
    registry
        Routes that ask MLflow and may wait for it until its time limit.
    files
        Files that are predicted, read and written.
    outcomes
        Feedback, which waits for the object store.
    metrics
        The exposition, which reads files of all workers.
    """

    def __init__(self, concurrency: int) -> None:
        self.passwords = Executor("passwords", threads=1, waiting=32, background=True)
        self.sign_ins = Executor("sign-ins", threads=2, waiting=32)
        self.explanations = Executor("explanations", threads=2, waiting=concurrency)
        self.registry = Executor("registry", threads=2, waiting=8)
        self.files = Executor("files", threads=4, waiting=32, background=True)
        self.outcomes = Executor("outcomes", threads=4, waiting=64)
        self.metrics = Executor("metrics", threads=1, waiting=8)

    def close(self) -> None:
        """Close all of them."""
        for executor in vars(self).values():
            executor.close()
