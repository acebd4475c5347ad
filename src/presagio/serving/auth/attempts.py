"""Limits on guessing: wrong passwords a minute, counted before a password is verified.

An attempt is reserved first, and released when the password was right. So of many guesses at once
no more are verified than the limit allows. Failures are counted

- by address, so that whoever guesses is stopped, and nobody at another address;
- by account, over all addresses: beyond that limit an address is heard only while it has no
  failure, so that a guess from many addresses is slowed down and the owner is not locked out;
- for an account at an address from where it has given the right password before, by both: whatever
  others guess, from there or elsewhere, for this account or others, only its own failures count.

Where replicas share a database they are counted there too, over all of them. Counts of this process
go on beside it: they refuse without a question to the database, and alone while it is unavailable.
"""

import asyncio
import contextlib
import math
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from presagio.serving.auth.shared_attempts import SharedAttempts
from presagio.serving.executors import Executor
from presagio.serving.http.forwarded import network_of
from presagio.serving.shared.database import SharedStateError
from presagio.settings import Settings

_WINDOW_S = 60.0
# More than can be verified in a minute, so that no entry that counts is ever pushed out.
_MOST_COUNTS = 20_000
_MOST_KNOWN = 10_000
# Right passwords that come at once wait for each other; more than these are told to come again.
_MOST_WAITING = 16
# How often, and how long apart, one asks again whose way others are in that are being verified.
_TRIES, _PAUSE_S = 20, 0.1


class TooManyAttemptsError(Exception):
    """An attempt that is not verified now.

    Attributes
    ----------
    wait_s
        Seconds until one would be.
    """

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"too many attempts, wait {wait_s:.0f} s")
        self.wait_s = wait_s


@dataclass
class _Count:
    """Attempts of the last minute: failures, and those that are not decided yet."""

    times: deque[float] = field(default_factory=deque)
    pending: int = 0

    def forget(self, before: float) -> None:
        while self.times and self.times[0] <= before:
            self.times.popleft()


@dataclass
class Attempt:
    """One attempt that is being verified; ``right`` is None of one that broke."""

    right: bool | None = False


_Key = tuple[str, ...]


@dataclass(frozen=True)
class Elsewhere:
    """Where attempts of all replicas are counted, and the threads that ask there."""

    attempts: SharedAttempts
    threads: Executor


class Attempts:
    """Counts the attempts of one worker.

    It has its share of the limits; all of them while they are counted over all replicas.
    ``len`` of it is how many addresses, accounts and pairs of them are counted; at most
    ``most_counts``.
    """

    def __init__(
        self, settings: Settings, most_counts: int = _MOST_COUNTS,
        elsewhere: Elsewhere | None = None,
    ) -> None:  # fmt: skip
        self._most_counts, self._elsewhere = most_counts, elsewhere
        self._settings = settings
        # Ordered by the last attempt.
        self._counts: OrderedDict[_Key, _Count] = OrderedDict()
        self._known: OrderedDict[_Key, None] = OrderedDict()
        self._decided, self._waiting = asyncio.Event(), 0

    def __len__(self) -> int:
        return len(self._counts)

    @contextlib.asynccontextmanager
    async def attempt(self, account: str, address: str) -> AsyncIterator[Attempt]:
        """Reserve an attempt; it counts as a failure unless its ``right`` is set inside.

        Raises
        ------
        TooManyAttemptsError
            If there were too many.
        """
        # What PostgreSQL takes for text, whatever was sent.
        account = account.encode("utf-8", "replace").decode().replace("\0", "\ufffd")
        pair = account, network_of(address)
        # By its own failures only, or by those of the whole address and of the account.
        keys: tuple[_Key, ...] = (("address", pair[1]), ("account", account))
        if pair in self._known:
            keys = (("pair", *pair),)
        await self._turn(keys)
        now, attempt = time.monotonic(), Attempt()
        counts = [self._reserve(key, now) for key in keys]
        try:
            async with self._counted_elsewhere(pair, attempt):
                yield attempt
        except Exception:
            # Whatever broke, it was no wrong password.
            self._release(counts, now)
            raise
        else:
            if attempt.right:
                self._release(counts, now)
                self._remember(pair)
        finally:
            for count in counts:
                count.pending -= 1
            self._decided.set()
            self._decided = asyncio.Event()

    @contextlib.asynccontextmanager
    async def _counted_elsewhere(
        self, pair: tuple[str, str], attempt: Attempt
    ) -> AsyncIterator[None]:
        """Count an attempt over all replicas too, where they can be asked."""
        number = None if self._elsewhere is None else await self._reserved(self._elsewhere, pair)
        if self._elsewhere is None or number is None:
            yield
            return
        done = Attempt(right=None)
        try:
            yield
            done.right = attempt.right
        finally:
            # Settled in a thread, also where the request is cut off while it waits.
            settled = self._elsewhere.threads.start(
                _settle, self._elsewhere.attempts, number, pair, done
            )
            await asyncio.wrap_future(settled)

    async def _reserved(self, elsewhere: Elsewhere, pair: tuple[str, str]) -> int | None:
        """Return the number of an attempt that all replicas know of; None where they cannot."""
        for _ in range(_TRIES):
            try:
                found = await elsewhere.threads.resume(elsewhere.attempts.reserve, *pair)
            except SharedStateError:
                return None
            if found.number is not None:
                return found.number
            if not found.undecided:
                raise TooManyAttemptsError(found.wait_s)
            await asyncio.sleep(_PAUSE_S)
        raise TooManyAttemptsError(1.0)

    def _limit(self, of_all: int) -> int:
        """Return what this worker may verify of a limit of all workers."""
        if self._elsewhere is not None and self._elsewhere.attempts.database.available:
            return of_all
        return math.ceil(of_all / self._settings.api_workers)

    async def _turn(self, keys: tuple[_Key, ...]) -> None:
        """Return when an attempt may be made; wait for others that are being verified."""
        while (wait := self._wait_s(keys)) > 0.0:
            if self._wait_s(keys, pending=False) > 0.0:
                raise TooManyAttemptsError(wait)
            if self._waiting >= _MOST_WAITING:
                raise TooManyAttemptsError(1.0)
            self._waiting += 1
            try:
                await self._decided.wait()
            finally:
                self._waiting -= 1

    def _wait_s(self, keys: tuple[_Key, ...], *, pending: bool = True) -> float:
        """Return the seconds until an attempt is allowed, with or without undecided ones."""
        now, longest, failed_here = time.monotonic(), 0.0, False
        for key in keys:
            if (count := self._counts.get(key)) is None:
                continue
            count.forget(now - _WINDOW_S)
            number = len(count.times) - (0 if pending else count.pending)
            by_account, settings = key[0] == "account", self._settings
            most = self._limit(
                settings.token_account_attempts if by_account else settings.token_attempts
            )
            if number >= most and (failed_here or not by_account):
                # Until there are fewer than allowed.
                longest = max(longest, _WINDOW_S - (now - count.times[-most]))
            failed_here = failed_here or number > 0
        return longest

    def _reserve(self, key: _Key, now: float) -> _Count:
        while self._counts:
            oldest = next(iter(self._counts.values()))
            oldest.forget(now - _WINDOW_S)
            if oldest.times and len(self._counts) < self._most_counts:
                break
            self._counts.popitem(last=False)
        count = self._counts.setdefault(key, _Count())
        self._counts.move_to_end(key)
        count.times.append(now)
        count.pending += 1
        return count

    def _release(self, counts: list[_Count], reserved: float) -> None:
        for count in counts:
            with contextlib.suppress(ValueError):
                count.times.remove(reserved)

    def _remember(self, pair: _Key) -> None:
        self._known[pair] = None
        self._known.move_to_end(pair)
        if len(self._known) > _MOST_KNOWN:
            self._known.popitem(last=False)


def _settle(attempts: SharedAttempts, number: int, pair: tuple[str, str], done: Attempt) -> None:
    # Unavailable by now: it counts as a failure until its minute is over.
    with contextlib.suppress(SharedStateError):
        attempts.settle(number, right=done.right, account=pair[0], network=pair[1])
