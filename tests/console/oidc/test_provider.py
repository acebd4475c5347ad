"""Whatever an identity provider answers, or does not: nobody is signed in who should not be."""

import base64
import hmac
import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import SecretStr

from presagio.console.oidc import provider as providers
from presagio.console.oidc.attempt import Attempt
from presagio.console.oidc.faults import NotSignedInError
from presagio.console.oidc.provider import Provider
from presagio.serving import issuers
from presagio.settings import Settings
from tests.console.identity_provider import (
    CLIENT,
    OPERATOR,
    SECRET,
    IdentityProvider,
    key,
    published,
)

pytestmark = pytest.mark.unit

CALLBACK = "http://127.0.0.1:8050/sign-in/oidc/callback"
DISCOVERY = "/.well-known/openid-configuration"


@pytest.fixture(scope="module")
def running() -> Iterator[IdentityProvider]:
    with IdentityProvider() as running:
        yield running


@pytest.fixture
def there(running: IdentityProvider) -> IdentityProvider:
    running.reset()
    running.asked.clear()
    return running


Open = Callable[..., Provider]


@pytest.fixture
def opened(there: IdentityProvider, tmp_path: Path) -> Iterator[Open]:
    """Open what asks the provider."""
    known: list[Provider] = []

    def open_provider(**changes: Any) -> Provider:
        known.append(Provider(Settings(home=tmp_path, **there.settings(**changes))))
        return known[-1]

    yield open_provider
    for each in known:
        each.close()


@pytest.fixture
def provider(opened: Open) -> Provider:
    return opened()


@cache
def _browser() -> httpx.Client:
    return httpx.Client()


def _return(provider: Provider, attempt: Attempt) -> tuple[str, str]:
    """Sign in there; return the code and the issuer that a browser brings back."""
    answer = _browser().get(provider.address(attempt, CALLBACK))
    fields = parse_qs(urlsplit(answer.headers["location"]).query)
    assert fields["state"] == [attempt.state]
    return fields["code"][0], fields["iss"][0]


def _claims(provider: Provider) -> dict[str, Any]:
    attempt = Attempt.begin("/")
    return provider.claims(*_return(provider, attempt), attempt, CALLBACK)


def _refused(provider: Provider) -> str:
    with pytest.raises(NotSignedInError) as refused:
        _claims(provider)
    return refused.value.reason


def test_the_provider_says_who_somebody_is(provider: Provider, there: IdentityProvider) -> None:
    for _ in range(2):
        assert _claims(provider).items() >= OPERATOR.items()
    # Found once, and kept.
    assert there.asked.count(DISCOVERY) == there.asked.count("/keys") == 1


def test_what_the_token_does_not_say_is_asked_for(
    provider: Provider, there: IdentityProvider
) -> None:
    there.changes = {"groups": None}
    assert _claims(provider)["groups"] == OPERATOR["groups"]
    there.person["sub"] = "another one's"
    there.changes = {"groups": None, "sub": OPERATOR["sub"]}
    assert _refused(provider) == "untrue"


def test_a_secret_goes_into_the_form_where_the_provider_wants_it_there(
    opened: Open, there: IdentityProvider
) -> None:
    seen: list[bytes] = []

    def take(handler: BaseHTTPRequestHandler) -> None:
        seen.append(str(handler.headers.get("Authorization")).encode())
        handler.send_error(400)

    there.documents["/token"] = take
    there.documents[DISCOVERY]["token_endpoint_auth_methods_supported"] = ["client_secret_post"]
    assert _refused(opened()) == "refused"
    del there.documents[DISCOVERY]["token_endpoint_auth_methods_supported"]
    assert _refused(opened(console_oidc_client_secret=None)) == "refused"
    assert seen == [b"None", b"None"]


def test_a_wrong_secret_is_refused(opened: Open) -> None:
    assert _refused(opened(console_oidc_client_secret=SecretStr("another"))) == "refused"


NOW = int(time.time())
LIES: dict[str, dict[str, Any]] = {
    "another nonce": {"nonce": "a" * 43},
    "no nonce": {"nonce": None},
    "a nonce that is no text": {"nonce": ["a"]},
    "a lone surrogate": {"nonce": "\ud800"},
    "another audience": {"aud": "another"},
    "no audience": {"aud": None},
    "an audience besides, and issued to nobody": {"aud": [CLIENT, "another"]},
    "issued to another": {"azp": "another"},
    "issued to another, with both": {"aud": [CLIENT, "another"], "azp": "another"},
    "another issuer": {"iss": "https://evil.test"},
    "no issuer": {"iss": None},
    "over": {"exp": NOW - 120},
    "never over": {"exp": None},
    "not yet": {"nbf": NOW + 3600},
    "issued in the future": {"iat": NOW + 3600},
    "of nobody": {"sub": None},
    "of a number": {"sub": 7},
}


@pytest.mark.parametrize("lie", LIES)
def test_a_token_of_somebody_or_something_else_signs_nobody_in(
    lie: str, provider: Provider, there: IdentityProvider
) -> None:
    there.changes = LIES[lie]
    assert _refused(provider) == "untrue"


def test_clocks_may_differ_a_little(provider: Provider, there: IdentityProvider) -> None:
    now = int(time.time())
    there.changes = {"iat": now + 20, "nbf": now + 20, "exp": now - 20}
    assert _claims(provider)["sub"] == OPERATOR["sub"]


def test_a_token_for_several_names_whom_it_was_issued_to(
    provider: Provider, there: IdentityProvider
) -> None:
    there.changes = {"aud": [CLIENT, "another"], "azp": CLIENT}
    assert _claims(provider)["sub"] == OPERATOR["sub"]


def _coded(part: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def _by_hand(header: dict[str, Any], claims: dict[str, Any], secret: bytes) -> str:
    signed = f"{_coded(header)}.{_coded(claims)}"
    signature = hmac.digest(secret, signed.encode(), "sha256")
    return f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def _public() -> bytes:
    return key("one").public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


FORGED: dict[str, Callable[[dict[str, Any]], Any]] = {
    "none": lambda claims: f"{_coded({'alg': 'none', 'kid': 'one'})}.{_coded(claims)}.",
    "HS256 with the public key":
        lambda claims: _by_hand({"alg": "HS256", "kid": "one"}, claims, _public()),
    "HS256 with the client's secret":
        lambda claims: _by_hand({"alg": "HS256", "kid": "one"}, claims, SECRET.encode()),
    "a key that is not published":
        lambda claims: jwt.encode(claims, key("two"), "RS256", headers={"kid": "two"}),
    "the name of a key that is another's":
        lambda claims: jwt.encode(claims, key("two"), "RS256", headers={"kid": "one"}),
    "a key that it brings": lambda claims: jwt.encode(
        claims, key("two"), "RS256", headers={"kid": "two", "jwk": published("two")}),
    "another algorithm of the key":
        lambda claims: jwt.encode(claims, key("one"), "RS512", headers={"kid": "one"}),
    "no text": lambda _: {"a": 1},
    "nothing": lambda _: "",
}  # fmt: skip


@pytest.mark.parametrize("forged", FORGED)
def test_a_token_that_the_provider_has_not_signed_signs_nobody_in(
    forged: str, provider: Provider, there: IdentityProvider
) -> None:
    there.sign = FORGED[forged]
    assert _refused(provider) == "untrue"


def test_a_symmetric_key_among_the_published_ones_verifies_nothing(
    provider: Provider, there: IdentityProvider
) -> None:
    shared = base64.urlsafe_b64encode(b"k" * 32).decode()
    there.documents["/keys"] = {"keys": [{"kty": "oct", "kid": "one", "k": shared, "alg": "HS256"}]}
    there.sign = lambda claims: _by_hand({"alg": "HS256", "kid": "one"}, claims, b"k" * 32)
    assert _refused(provider) == "untrue"


def test_a_new_key_is_found_but_the_provider_is_not_asked_each_time(
    opened: Open, there: IdentityProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = opened()
    _claims(provider)
    there.kid = "two"
    there.documents["/keys"] = {"keys": [published("two")]}
    for _ in range(3):
        assert _refused(provider) == "untrue"
    assert there.asked.count("/keys") == 1
    # Half a minute later.
    later = time.monotonic() + 31.0
    monkeypatch.setattr("presagio.serving.issuers.time.monotonic", lambda: later)
    assert _claims(provider)["sub"] == OPERATOR["sub"]
    # The old one is none any more.
    there.kid = "one"
    assert _refused(provider) == "untrue"


def test_a_code_goes_with_who_began(provider: Provider) -> None:
    """Also where somebody else's browser is led to bring it (PKCE, nonce)."""
    code, issuer = _return(provider, Attempt.begin("/"))
    with pytest.raises(NotSignedInError) as refused:
        provider.claims(code, issuer, Attempt.begin("/"), CALLBACK)
    assert refused.value.reason == "refused"


@pytest.mark.parametrize("issuer", ["", "https://evil.test"])
def test_an_answer_of_another_provider_is_refused(issuer: str, provider: Provider) -> None:
    attempt = Attempt.begin("/")
    code, _ = _return(provider, attempt)
    with pytest.raises(NotSignedInError) as refused:
        provider.claims(code, issuer, attempt, CALLBACK)
    assert refused.value.reason == "untrue"


DISCOVERED: dict[str, Any] = {
    "another issuer": {"issuer": "https://evil.test"},
    "no keys": {"jwks_uri": None},
    "keys at no private address": {"jwks_uri": "http://evil.test/keys"},
    "keys in a file": {"jwks_uri": "file:///etc/passwd"},
    "a page that anybody on the way can change": {"authorization_endpoint": "http://evil.test/"},
    "a page that is a script": {"authorization_endpoint": "javascript:alert(1)"},
    "no page": {"authorization_endpoint": None},
    "a page that is no text": {"authorization_endpoint": ["https://evil.test"]},
}


@pytest.mark.parametrize("odd", DISCOVERED)
def test_a_document_that_leads_elsewhere_leads_nobody(
    odd: str, provider: Provider, there: IdentityProvider
) -> None:
    there.documents[DISCOVERY] = there.discovery(**DISCOVERED[odd])
    assert _refused(provider) == "provider"


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"[" * 100_000, b'{"issuer": ' + b"9" * 5000 + b"}", b"<html>", b"\xff"]
)
@pytest.mark.parametrize("path", [DISCOVERY, "/keys", "/token"])
def test_an_answer_that_is_none_signs_nobody_in(
    path: str, body: bytes, provider: Provider, there: IdentityProvider
) -> None:
    there.documents[path] = body
    assert _refused(provider) in {"provider", "untrue"}


def _pour(handler: BaseHTTPRequestHandler) -> None:
    """Answer without an end."""
    handler.send_response(200)
    handler.end_headers()
    with suppress(OSError):
        for _ in range(64):
            handler.wfile.write(b" " * (1 << 16))


def _hang(handler: BaseHTTPRequestHandler) -> None:
    """Send one byte of a header now and then."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    with suppress(OSError):
        for _ in range(200):
            handler.wfile.write(b"a")
            time.sleep(0.05)


@pytest.mark.parametrize("lie", [_pour, _hang])
@pytest.mark.parametrize("path", [DISCOVERY, "/token", "/userinfo"])
def test_an_answer_without_an_end_is_not_waited_for(
    path: str, lie: Any, provider: Provider, there: IdentityProvider,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(issuers, "_TOTAL_S", 0.5)
    monkeypatch.setattr(providers, "_TOTAL_S", 1.0)
    there.changes = {"groups": None}
    there.documents[path] = lie
    begun = time.monotonic()
    assert _refused(provider) == "provider"
    assert time.monotonic() - begun < 5.0


def test_a_redirect_of_the_provider_is_not_followed(
    provider: Provider, there: IdentityProvider
) -> None:
    def lead(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", f"{there.url}/userinfo")
        handler.end_headers()

    there.documents["/token"] = lead
    assert _refused(provider) == "provider"
    assert "/userinfo" not in there.asked


def test_a_provider_that_is_down_is_asked_now_and_then_only(
    provider: Provider, there: IdentityProvider
) -> None:
    there.documents[DISCOVERY] = b"down"
    for _ in range(3):
        assert _refused(provider) == "provider"
    assert there.asked == [DISCOVERY]


def test_the_browser_is_sent_to_the_providers_sign_out_where_it_has_one(opened: Open) -> None:
    provider = opened()
    assert provider.sign_out_address("http://127.0.0.1:8050/sign-in") is None
    _claims(provider)
    found = urlsplit(provider.sign_out_address("http://127.0.0.1:8050/sign-in") or "")
    assert found.path == "/logout"
    assert parse_qs(found.query) == {
        "client_id": [CLIENT], "post_logout_redirect_uri": ["http://127.0.0.1:8050/sign-in"],
    }  # fmt: skip
