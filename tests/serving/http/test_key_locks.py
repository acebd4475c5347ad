"""One worker at a time under a key, and none forever."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from presagio.serving.http.key_locks import KeyLocks

pytestmark = pytest.mark.unit

_HOLDER = """
import asyncio, sys
from pathlib import Path
from presagio.serving.http.key_locks import KeyLocks

async def hold():
    async with KeyLocks(Path(sys.argv[1])).hold("key", 5):
        print("held", flush=True)
        await asyncio.sleep(60)

asyncio.run(hold())
"""


def test_one_at_a_time_works_under_a_key_and_nothing_is_left(tmp_path: Path) -> None:
    held, most, done = 0, 0, 0

    async def work(locks: KeyLocks) -> None:
        nonlocal held, most, done
        async with locks.hold("key", 30):
            held += 1
            most = max(most, held)
            await asyncio.sleep(0.001)
            held -= 1
            done += 1

    async def scenario() -> None:
        workers = [KeyLocks(tmp_path) for _ in range(4)]
        await asyncio.gather(*(work(workers[i % 4]) for i in range(40)))

    asyncio.run(scenario())
    assert (most, done) == (1, 40)
    assert list(tmp_path.iterdir()) == []
    alone = KeyLocks()

    async def alone_too() -> None:
        await asyncio.gather(*(work(alone) for _ in range(20)))

    asyncio.run(alone_too())
    assert (most, done) == (1, 60)


def test_other_keys_do_not_wait_and_a_wait_has_its_end(tmp_path: Path) -> None:
    async def scenario() -> None:
        locks, other = KeyLocks(tmp_path), KeyLocks(tmp_path)
        async with locks.hold("../../key", 1), other.hold("another", 1):
            with pytest.raises(TimeoutError):
                async with other.hold("../../key", 0.05):
                    pass

    asyncio.run(scenario())


def test_a_worker_that_fails_or_is_killed_lets_go(tmp_path: Path) -> None:
    async def fail(locks: KeyLocks) -> None:
        async with locks.hold("key", 1):
            raise OSError("disk")

    async def take(limit_s: float) -> None:
        async with KeyLocks(tmp_path).hold("key", limit_s):
            pass

    with pytest.raises(OSError, match="disk"):
        asyncio.run(fail(KeyLocks(tmp_path)))
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(TimeoutError):
        asyncio.run(take(0.05))
    holder.send_signal(signal.SIGKILL)
    holder.wait(10)
    holder.stdout.close()
    asyncio.run(take(5))
