"""Tokens: signed by this API, or by an outside issuer that a setting names.

After RFC 8725: the algorithm is fixed by who verifies and never taken from the token, ``exp``,
``aud`` and ``iss`` must be there, ``kid`` only picks among keys that are known already, and
``jku``, ``x5u`` and their like are never followed.
"""

import hashlib
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Literal, Protocol
from uuid import uuid4

import jwt

from presagio.errors import SettingsError
from presagio.serving.http.problems import RefusedError
from presagio.settings import Settings
from presagio.settings.private import reveal

Scope = Literal["predict", "feedback", "view", "operate", "admin"]
SCOPES: dict[Scope, str] = {
    "predict": "Ask for predictions.",
    "feedback": "Send what became of readings.",
    "view": "See the console.",
    "operate": "In the console: send files, and work on alarms.",
    "admin": "Have the champion looked up; in the console, all of it.",
}
_NAME = "presagio"
_ALGORITHM = "HS256"
_LONGEST_TOKEN = 8192
# How long a verified token is taken without verifying its signature again.
_REMEMBERED_S = 60.0
_MOST_REMEMBERED = 1024
_LEEWAY_S = 5
# The year 9999: no token is good for longer.
_LAST = 253_402_300_800
# What the library raises for claims and headers of other types than it expects.
_NOT_GOOD = (
    jwt.PyJWTError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError,
    RecursionError,
)  # fmt: skip


@dataclass(frozen=True)
class Principal:
    """Who asks: ``expires`` is when the token ends, in seconds since 1970."""

    subject: str
    scopes: frozenset[str]
    expires: float


def invalid_token(why: str) -> RefusedError:
    """Return the refusal of a token that is missing or not good (RFC 6750)."""
    return RefusedError(
        HTTPStatus.UNAUTHORIZED,
        "unauthorized",
        "A valid token is needed",
        f"{why}; get one from POST /token, or by: presagio token",
        headers={"WWW-Authenticate": 'Bearer realm="presagio", error="invalid_token"'},
    )


def _check_dates(claims: dict[str, Any]) -> None:
    """Check that dates are numbers (RFC 7519, section 2) that a clock may show.

    The library turns text and booleans into numbers, and fails on what no number can hold.

    Raises
    ------
    jwt.InvalidTokenError
        If one is not.
    """
    for name in ("exp", "nbf", "iat"):
        date = claims.get(name, 0)
        if isinstance(date, bool) or not isinstance(date, int | float) or not 0 <= date < _LAST:
            raise jwt.InvalidTokenError(f"{name} is not a date")


def _principal(claims: dict[str, Any]) -> Principal:
    granted = claims.get("scope", claims.get("scp", ""))
    listed = granted.split() if isinstance(granted, str) else granted
    if not isinstance(listed, list):
        listed = []
    scopes = {scope for scope in listed if isinstance(scope, str)}
    return Principal(claims["sub"], frozenset(scopes & set(SCOPES)), float(claims["exp"]))


class OutsideIssuer(Protocol):
    """Verifies tokens of somebody else."""

    issuer: str

    async def claims(self, token: str) -> dict[str, Any]:
        """Return what a token says, or raise :class:`jwt.PyJWTError`."""
        ...


class Authority:
    """Issues tokens and says who a token's bearer is."""

    def __init__(self, settings: Settings, outside: OutsideIssuer | None = None) -> None:
        secret = reveal(settings.token_secret, "PRESAGIO_TOKEN_SECRET")
        previous = settings.token_secret_previous
        keys = [secret] + ([previous.get_secret_value()] if previous else [])
        self._keys = {hashlib.sha256(key.encode()).hexdigest()[:16]: key for key in keys}
        self._current = next(iter(self._keys))
        self._minutes, self._outside = settings.token_minutes, outside
        self._remembered: dict[str, tuple[Principal, float]] = {}

    def issue(self, subject: str, scopes: list[Scope]) -> tuple[str, int]:
        """Return a token and the seconds that it holds."""
        now, holds = int(time.time()), int(self._minutes * 60)
        claims = {
            "iss": _NAME,
            "aud": _NAME,
            "sub": subject,
            "scope": " ".join(scopes),
            "iat": now,
            "exp": now + holds,
            "jti": uuid4().hex,
        }
        key = self._keys[self._current]
        return jwt.encode(claims, key, _ALGORITHM, headers={"kid": self._current}), holds

    def remembered(self, token: str) -> Principal | None:
        """Return the bearer of a token that was verified a moment ago."""
        found = self._remembered.get(token)
        if found is None:
            return None
        now = time.time()
        return found[0] if now < found[1] else None

    async def verify(self, token: str) -> Principal:
        """Return the bearer of a token.

        Raises
        ------
        RefusedError
            401, if it is not good.
        """
        if (known := self.remembered(token)) is not None:
            return known
        if len(token) > _LONGEST_TOKEN:
            raise invalid_token(f"a token has at most {_LONGEST_TOKEN} characters")
        try:
            principal = _principal(await self._claims(token))
        except jwt.ExpiredSignatureError as err:
            raise invalid_token("the token has expired") from err
        except _NOT_GOOD as err:
            raise invalid_token("the token is not good") from err
        if len(self._remembered) >= _MOST_REMEMBERED:
            self._remembered.clear()
        until = min(principal.expires, time.time() + _REMEMBERED_S)
        self._remembered[token] = principal, until
        return principal

    async def _claims(self, token: str) -> dict[str, Any]:
        # Unverified, and used for one thing: whose keys it has to be verified by.
        unverified = jwt.decode_complete(token, options={"verify_signature": False})
        _check_dates(unverified["payload"])
        if self._outside and unverified["payload"].get("iss") == self._outside.issuer:
            return await self._outside.claims(token)
        key = self._keys.get(str(unverified["header"].get("kid")))
        if key is None:
            raise jwt.InvalidKeyError("no key of ours")
        claims: dict[str, Any] = jwt.decode(
            token, key, [_ALGORITHM], audience=_NAME, issuer=_NAME, leeway=_LEEWAY_S,
            options={"require": ["exp", "aud", "iss", "sub"]},
        )  # fmt: skip
        return claims


def open_authority(settings: Settings, outside: OutsideIssuer | None = None) -> Authority | None:
    """Return who verifies tokens; None where the settings say that nobody needs one.

    Raises
    ------
    SettingsError
        If there is no key to sign with.
    """
    if settings.auth == "off":
        return None
    if settings.token_secret is None:
        raise SettingsError(
            "PRESAGIO_TOKEN_SECRET is not set, and the API signs tokens with it; start the local "
            "stack (presagio up), which makes one, or set it, or PRESAGIO_AUTH=off"
        )
    return Authority(settings, outside)
