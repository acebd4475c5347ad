"""Guessing passwords: counted before it is verified, and nobody else's trouble."""

import asyncio
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from presagio.serving.auth.attempts import Attempts, TooManyAttemptsError
from presagio.settings import Settings

pytestmark = pytest.mark.unit

_ADMIN = "user admin"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def _attempts(
    limit: int = 3, by_account: int = 6, workers: int = 1, most_counts: int = 20_000
) -> Attempts:
    settings = Settings(
        home=Path("/nowhere"), token_attempts=limit, token_account_attempts=by_account,
        api_workers=workers,
    )  # fmt: skip
    return Attempts(settings, most_counts)


async def _try(attempts: Attempts, address: str, account: str = _ADMIN, *, right: bool) -> bool:
    """Return whether the attempt was verified."""
    waits = []
    try:
        async with attempts.attempt(account, address) as attempt:
            attempt.right = right
    except TooManyAttemptsError as err:
        waits.append(err.wait_s)
    assert all(0 < wait <= 60 for wait in waits)
    return not waits


def test_failures_are_limited_by_address_and_forgotten_after_a_minute(clock: list[float]) -> None:
    async def scenario() -> None:
        attempts = _attempts()
        for name in "abc":
            assert await _try(attempts, "10.0.0.1", name, right=False)
        assert not await _try(attempts, "10.0.0.1", right=True)
        assert await _try(attempts, "10.0.0.2", right=True)
        clock[0] += 60.0
        assert await _try(attempts, "10.0.0.1", right=True)

    asyncio.run(scenario())


def test_addresses_of_one_ipv6_network_count_as_one(clock: list[float]) -> None:
    del clock

    async def scenario() -> None:
        attempts = _attempts()
        verified = [await _try(attempts, f"2001:db8::{i:x}", right=False) for i in range(5)]
        assert verified == [True] * 3 + [False] * 2
        assert await _try(attempts, "2001:db8:0:1::1", right=True)

    asyncio.run(scenario())


def test_right_passwords_are_not_counted(clock: list[float]) -> None:
    del clock

    async def scenario() -> None:
        attempts = _attempts()
        assert all([await _try(attempts, "10.0.0.1", right=True) for _ in range(50)])

    asyncio.run(scenario())


def test_guesses_from_many_addresses_do_not_lock_the_owner_out(clock: list[float]) -> None:
    del clock

    async def scenario() -> None:
        attempts = _attempts(limit=3, by_account=6)
        guessed = Counter(
            [await _try(attempts, f"10.0.{i % 20}.1", right=False) for i in range(100)]
        )
        # The account's limit, and one from each address that had not failed by then.
        assert guessed[True] <= 6 + 20
        # From an address that has never been heard of, and again and again from there.
        assert all([await _try(attempts, "10.9.9.9", right=True) for _ in range(10)])
        # There, a slip does not lock the owner out either.
        assert await _try(attempts, "10.9.9.9", right=False)
        assert await _try(attempts, "10.9.9.9", right=True)

    asyncio.run(scenario())


def test_guesses_at_other_accounts_do_not_lock_out_who_is_known_at_the_address(
    clock: list[float],
) -> None:
    del clock

    async def scenario() -> None:
        attempts = _attempts()
        assert await _try(attempts, "127.0.0.1", "client presagio", right=True)
        for i in range(10):
            await _try(attempts, "127.0.0.1", f"user {i}", right=False)
        assert await _try(attempts, "127.0.0.1", "client presagio", right=True)
        # Its own failures count as anybody's.
        guessed = [await _try(attempts, "127.0.0.1", "client presagio", right=False)
                   for _ in range(5)]  # fmt: skip
        assert guessed == [True] * 3 + [False] * 2

    asyncio.run(scenario())


def _at_once(attempts: Attempts, number: int, *, right: bool) -> tuple[Counter[bool], int]:
    """Return how many were verified of many attempts at once, and how many were at a time."""
    running, most = 0, 0

    async def one() -> bool:
        nonlocal running, most
        with suppress(TooManyAttemptsError):
            async with attempts.attempt(_ADMIN, "10.0.0.1") as attempt:
                running += 1
                most = max(most, running)
                await asyncio.sleep(0.01)
                running -= 1
                attempt.right = right
            return True
        return False

    async def scenario() -> Counter[bool]:
        return Counter(await asyncio.gather(*(one() for _ in range(number))))

    return asyncio.run(scenario()), most


def test_of_many_wrong_ones_at_once_no_more_than_the_limit_are_verified() -> None:
    verified, _ = _at_once(_attempts(limit=10, by_account=100), 250, right=False)
    assert verified == {True: 10, False: 240}


def test_right_ones_at_once_wait_for_each_other() -> None:
    verified, most = _at_once(_attempts(limit=3), 12, right=True)
    assert verified == {True: 12}
    assert most == 3


def test_the_limits_are_those_of_all_workers_together() -> None:
    assert _at_once(_attempts(limit=10, by_account=100, workers=4), 50, right=False)[0][True] == 3


def test_what_breaks_is_no_wrong_password(clock: list[float]) -> None:
    del clock

    async def scenario() -> None:
        attempts = _attempts()
        for _ in range(10):
            with pytest.raises(OSError, match="disk"):
                async with attempts.attempt(_ADMIN, "10.0.0.1"):
                    raise OSError("disk")
        assert await _try(attempts, "10.0.0.1", right=True)

    asyncio.run(scenario())


def test_many_addresses_push_no_failure_out_and_are_forgotten(clock: list[float]) -> None:
    async def scenario() -> None:
        attempts = _attempts(most_counts=500)
        for _ in range(3):
            await _try(attempts, "10.0.0.1", "x", right=False)
        for i in range(200):
            await _try(attempts, f"10.1.{i}.1", f"user {i}", right=False)
        assert not await _try(attempts, "10.0.0.1", right=True)
        for i in range(10_000):
            clock[0] += 0.2
            await _try(attempts, f"10.{i % 250}.{i // 250}.1", f"user {i}", right=False)
            assert len(attempts) <= 502
        clock[0] += 61
        await _try(attempts, "10.0.0.1", right=True)
        assert len(attempts) <= 2

    asyncio.run(scenario())


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz"), st.booleans(),
                          st.floats(0, 30)), max_size=60))  # fmt: skip
def test_no_address_fails_more_often_in_a_minute_than_it_may(
    tries: list[tuple[str, str, bool, float]],
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        now = [0.0]
        patch.setattr(time, "monotonic", lambda: now[0])

        async def scenario() -> None:
            attempts, failed = _attempts(limit=2, by_account=4), Counter[tuple[str, ...]]()
            times: dict[tuple[str, str], list[float]] = {}
            for address, account, right, pause in tries:
                now[0] += pause
                if await _try(attempts, address, account, right=right) and not right:
                    times.setdefault((address, account), []).append(now[0])
                    failed[address, account] += 1
                recent = [at for at in times.get((address, account), []) if at > now[0] - 60]
                # As a stranger and, after a right password, as somebody who is known.
                assert len(recent) <= 2 + 2

        asyncio.run(scenario())
