"""Failures are counted by address, and nothing goes on twice."""

import pytest

from presagio.console.oidc import limits
from presagio.console.oidc.attempt import LASTS_S
from presagio.console.oidc.faults import NotSignedInError
from presagio.console.oidc.limits import Failures, Used

pytestmark = pytest.mark.unit


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr("presagio.console.oidc.limits.time.monotonic", lambda: now[0])
    return now


def test_who_fails_too_often_waits_a_minute_and_nobody_else_does(clock: list[float]) -> None:
    failures = Failures(2)
    for _ in range(2):
        failures.check("2001:db8::1")
        failures.add("2001:db8::1")
        clock[0] += 10.0
    # Of the same network.
    with pytest.raises(NotSignedInError) as refused:
        failures.check("2001:db8::2")
    assert (refused.value.reason, refused.value.wait_s) == ("busy", 41)
    failures.check("192.0.2.1")
    clock[0] = 60.5
    failures.check("2001:db8::1")


def test_a_sign_in_goes_on_once(clock: list[float]) -> None:
    used = Used()
    assert used.take("one")
    assert used.take("two")
    assert not used.take("one")
    clock[0] = LASTS_S + 1.0
    # Its cookie has ended too.
    assert used.take("one")


def test_counts_take_no_more_memory_than_they_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_MOST_COUNTS", 2)
    monkeypatch.setattr(limits, "_MOST_USED", 2)
    failures, used = Failures(1), Used()
    for number in range(5):
        failures.add(f"192.0.2.{number}")
        used.take(str(number))
    failures.check("192.0.2.0")
    with pytest.raises(NotSignedInError):
        failures.check("192.0.2.4")
    assert used.take("0")
