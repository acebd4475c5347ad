"""What a worker does once before it is ready, so that its first answers are as fast as all others.

Imports and first calls hold the interpreter's lock for most of a second in all. The process answers
meanwhile, slowly; ``/health/ready`` says that it is warming up.
"""

import asyncio
import logging
import time
from collections.abc import Callable

from presagio.serving.executors import Executor

_log = logging.getLogger(__name__)
# A store that hangs keeps a worker from being ready no longer.
_LIMIT_S = 5.0


class Warmup:
    """Runs steps in a thread, each whatever became of the others.

    Parameters
    ----------
    steps
        What this process does by itself.
    remote
        What a server has to answer; it is not waited for longer than ``limit_s``.
    """

    def __init__(
        self, *steps: Callable[[], object], remote: Callable[[], object], limit_s: float = _LIMIT_S
    ) -> None:
        self._steps, self._remote, self._limit_s = steps, remote, limit_s
        self._executor, self.done = Executor("warm-up", threads=1, waiting=1), False

    async def run(self) -> None:
        """Run everything; ``done`` is true afterwards, whatever happened."""
        began = time.monotonic()
        try:
            await self._executor.resume(_run_steps, *self._steps)
            await asyncio.wait_for(self._executor.resume(_run_steps, self._remote), self._limit_s)
            _log.info("warm after %.2f s", time.monotonic() - began)
        except TimeoutError:
            _log.warning("ready, though the store has not answered for %g s", self._limit_s)
        finally:
            self.done = True
            # A fleet that is removed leaves no thread behind.
            self._executor.close()


def _run_steps(*steps: Callable[[], object]) -> None:
    for step in steps:
        try:
            step()
        except Exception as err:  # noqa: BLE001 - a cold worker is better than none
            _log.warning("a part of this worker is not warm: %s", err)
