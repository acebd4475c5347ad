"""The loop that has a worker look at the registry again and again, whatever a look does."""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable

from presagio.serving.champion.board import Board

_log = logging.getLogger(__name__)
_WOKEN_POLL_S = 0.25
_WATCH_S = 0.5
# A look that is under way when the API ends is given so long; its thread ends with the process.
_GRACE_S = 1.0


class Follower:
    """Looks when it is time, when it is woken, and never twice at once.

    Parameters
    ----------
    look
        Looks once; runs in a thread of its own, off the event loop and off its pools.
    watch
        Called on the event loop now and then, also while a look hangs.
    board
        By which other workers wake this one.
    poll_s
        Seconds between two looks.
    """

    def __init__(
        self, look: Callable[[], None], watch: Callable[[], None], board: Board, poll_s: float
    ) -> None:
        self._look, self._watch, self._board, self._poll_s = look, watch, board, poll_s
        self._woken = asyncio.Event()
        self._again = False
        self.looked = asyncio.Event()

    def wake(self) -> None:
        """Have every worker look soon; on the event loop. Many calls make one look."""
        self._board.wake()
        self._woken.set()

    def look_again(self) -> None:
        """Look once more as soon as the look ends that calls this."""
        self._again = True

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        watching = asyncio.create_task(self._keep_watch(), name="watch-champion")
        try:
            while True:
                seen = self._board.woken()
                self._woken.clear()
                await self._look_in_thread()
                self.looked.set()
                if self._again:
                    self._again = False
                    continue
                await self._wait(seen)
        finally:
            watching.cancel()

    async def _look_in_thread(self) -> None:
        """Run a look in a daemon thread: one that hangs keeps no pool and no process alive."""
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def run() -> None:
            try:
                self._look()
            except BaseException:  # noqa: BLE001 - nothing may end the loop
                _log.exception("a look at the registry failed")
            finally:
                # The loop may be closed by now.
                with contextlib.suppress(RuntimeError):
                    loop.call_soon_threadsafe(done.set)

        try:
            threading.Thread(target=run, name="registry-look", daemon=True).start()
        except RuntimeError:
            _log.exception("no thread can be started to look at the registry")
            return
        try:
            await done.wait()
        except asyncio.CancelledError:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(done.wait(), _GRACE_S)
            raise

    async def _wait(self, seen: tuple[int, ...]) -> None:
        """Wait until it is time for the next look, or somebody wakes this worker."""
        until = time.monotonic() + self._poll_s
        while (left := until - time.monotonic()) > 0 and self._board.woken() == seen:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), min(_WOKEN_POLL_S, left))
                return

    async def _keep_watch(self) -> None:
        while True:
            await asyncio.sleep(_WATCH_S)
            try:
                self._watch()
            except Exception:  # noqa: BLE001 - nothing may end the watch
                _log.exception("the watch over looks at the registry failed")
