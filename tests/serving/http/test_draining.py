"""A process that is told to stop answers on for a while; told twice, it stops at once."""

import asyncio
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType

import pytest

from presagio.serving.http import draining


@pytest.fixture
def stopped() -> Iterator[list[int]]:
    """Stand in for the server that stops at a signal."""
    numbers: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        numbers.append(number)

    before = signal.signal(signal.SIGTERM, stop)
    yield numbers
    signal.signal(signal.SIGTERM, before)


def test_a_signal_is_held_back_and_a_second_one_is_not(stopped: list[int]) -> None:
    async def told(seconds: float, times: int) -> tuple[bool, list[int], list[int]]:
        stopped.clear()
        with draining.drain_first(seconds):
            assert not draining.is_draining()
            for _ in range(times):
                os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(0)
            at_once = list(stopped)
            drains = draining.is_draining()
            await asyncio.sleep(0.3)
            return drains, at_once, list(stopped)

    assert asyncio.run(told(0.1, 1)) == (True, [], [signal.SIGTERM])
    assert asyncio.run(told(60.0, 2)) == (True, [signal.SIGTERM], [signal.SIGTERM])
    assert asyncio.run(told(0.0, 1)) == (False, [signal.SIGTERM], [signal.SIGTERM])
    assert not draining.is_draining()


def test_in_another_thread_signals_stay_as_they_are() -> None:
    async def handler() -> object:
        with draining.drain_first(1.0):
            return signal.getsignal(signal.SIGTERM)

    found: list[object] = []
    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=lambda: found.append(asyncio.run(handler())))
    thread.start()
    thread.join()
    assert found == [before]
