"""A process that is told to stop: it answers on for a while, and says that it is not ready.

A balancer asks ``/health/ready`` now and then. To one that stopped at once it would send requests
until the next time.
"""

import asyncio
import contextlib
import logging
import signal
import threading
from collections.abc import Iterator
from types import FrameType

_log = logging.getLogger(__name__)
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
# A process is told to stop as a whole.
_DRAINING = threading.Event()


def is_draining() -> bool:
    """Tell whether this process has been told to stop."""
    return _DRAINING.is_set()


@contextlib.contextmanager
def drain_first(seconds: float) -> Iterator[None]:
    """Hold back a signal to stop for so long; a second one stops at once.

    Parameters
    ----------
    seconds
        How long; 0 leaves signals as they are.
    """
    if not seconds or threading.current_thread() is not threading.main_thread():
        yield
        return
    loop, before = asyncio.get_running_loop(), {one: signal.getsignal(one) for one in _SIGNALS}

    def stop(number: int, frame: FrameType | None) -> None:
        handler = before[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)

    def hold(number: int, frame: FrameType | None) -> None:
        if _DRAINING.is_set():
            stop(number, frame)
            return
        _DRAINING.set()
        _log.info("told to stop: it answers for %g s more", seconds)
        loop.call_soon_threadsafe(loop.call_later, seconds, stop, number, None)

    for number in _SIGNALS:
        signal.signal(number, hold)
    try:
        yield
    finally:
        _DRAINING.clear()
        for number, handler in before.items():
            signal.signal(number, handler)
