"""Only the browser that began a sign-in can finish it, and not for long."""

import base64
import hashlib

import pytest

from presagio.console.oidc.attempt import LASTS_S, Attempt

pytestmark = pytest.mark.unit

KEY = b"a key"


def test_a_cookie_brings_a_sign_in_back() -> None:
    begun = Attempt.begin("/units/a?b=ñ")
    assert Attempt.read(begun.seal(KEY), KEY) == begun
    assert not begun.is_over


@pytest.mark.parametrize("cookie", ["", ".", "...", "a.b.c.d", "é.1.Lw.é", "a.1.Lw." + "a" * 43])
def test_what_nobody_has_sealed_is_no_sign_in(cookie: str) -> None:
    assert Attempt.read(cookie, KEY) is None


def test_what_is_changed_or_sealed_with_another_key_is_no_sign_in() -> None:
    cookie = Attempt.begin("/").seal(KEY)
    secret, begun, back, seal = cookie.split(".")
    later = ".".join((secret, str(int(begun) + 60), back, seal))
    assert Attempt.read(later, KEY) is None
    assert Attempt.read(cookie, b"another key") is None


def test_what_the_provider_sees_is_not_what_the_browser_keeps() -> None:
    begun, other = Attempt.begin("/"), Attempt.begin("/")
    seen = {begun.state, begun.nonce, begun.verifier, begun.challenge}
    assert len(seen) == 4
    assert not any(begun.secret in each for each in seen)
    assert begun.state != other.state
    digest = hashlib.sha256(begun.verifier.encode()).digest()
    assert begun.challenge == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


@pytest.mark.parametrize(
    ("age_s", "is_over"), [(LASTS_S - 1, False), (LASTS_S + 2, True), (-5, False), (-90, True)]
)
def test_a_sign_in_ends(age_s: int, is_over: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = Attempt.begin("/")
    monkeypatch.setattr("presagio.console.oidc.attempt.time.time", lambda: begun.begun + age_s)
    assert begun.is_over is is_over


def test_an_address_that_no_cookie_can_hold_is_left_out() -> None:
    begun = Attempt.begin("/?" + "ñ" * 2000)
    assert begun.back == "/"
    assert len(Attempt.begin("/" + "a" * 2047).seal(KEY)) < 4000
