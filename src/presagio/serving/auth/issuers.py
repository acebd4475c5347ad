"""An outside issuer of tokens: found by OIDC discovery, its keys fetched, kept and renewed."""

import asyncio
import contextlib
import logging
import time
from typing import Any
from urllib.parse import urlsplit

import httpx
import jwt

_log = logging.getLogger(__name__)
# Asymmetric ones only: with these no public key can pass as a shared secret.
_ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")
_KEPT_S = 600.0
# A token with a key that is not known has them fetched anew, at most so often.
_RENEWED_S = 30.0
# For one step of a request, and for all of the keys.
_TIMEOUT_S, _TOTAL_S = 5.0, 10.0
_LONGEST_ANSWER = 1 << 20


def _checked(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme == "https" or parts.hostname in {"127.0.0.1", "::1", "localhost"}:
        return url
    raise jwt.InvalidKeyError(f"{url} is not https")


class OidcIssuer:
    """Verifies the tokens of one issuer by the keys that it publishes.

    For an unknown key they are fetched anew, once in ``renewed_s`` seconds at most.
    """

    def __init__(self, issuer: str, audience: str, *, renewed_s: float = _RENEWED_S) -> None:
        self.issuer, self._audience, self._renewed_s = issuer, audience, renewed_s
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched = float("-inf")
        self._fetching = asyncio.Lock()
        self._renewal: asyncio.Task[None] | None = None

    async def claims(self, token: str) -> dict[str, Any]:
        """Return what a token says.

        Raises
        ------
        jwt.PyJWTError
            If it is not good, or its issuer's keys cannot be had.
        """
        kid = str(jwt.get_unverified_header(token).get("kid"))
        age = time.monotonic() - self._fetched
        if kid in self._keys:
            if age > _KEPT_S:
                # No token of a key that is known waits for an issuer that is slow.
                self._renewal = asyncio.create_task(self._renew())
        elif age > self._renewed_s or self._fetching.locked():
            await self._renew()
        if (key := self._keys.get(kid)) is None:
            raise jwt.InvalidKeyError("no key of the issuer's")
        algorithm = key.algorithm_name
        if algorithm not in _ALGORITHMS:
            raise jwt.InvalidAlgorithmError("not an algorithm that is taken here")
        claims: dict[str, Any] = jwt.decode(
            token, key, [algorithm], audience=self._audience, issuer=self.issuer,
            options={"require": ["exp", "aud", "iss", "sub"]},
        )  # fmt: skip
        return claims

    async def _renew(self) -> None:
        async with self._fetching:
            if time.monotonic() - self._fetched <= self._renewed_s:
                return
            # Also when it fails: an issuer that is down is not asked for each request.
            self._fetched = time.monotonic()
            try:
                async with asyncio.timeout(_TOTAL_S):
                    self._keys = await self._fetch()
            except (
                httpx.HTTPError, httpx.InvalidURL, ValueError, LookupError, TypeError,
                AttributeError, RecursionError, TimeoutError, jwt.PyJWTError,
            ) as err:  # fmt: skip
                # Keys that were had before are good still.
                _log.warning("the keys of %s cannot be had: %r", self.issuer, err)

    async def _fetch(self) -> dict[str, jwt.PyJWK]:
        async with httpx.AsyncClient(timeout=_TIMEOUT_S, follow_redirects=False) as client:
            found = await self._get(
                client, self.issuer.rstrip("/") + "/.well-known/openid-configuration"
            )
            if found["issuer"] != self.issuer:
                raise ValueError("discovery names another issuer")
            published = await self._get(client, found["jwks_uri"])
        keys = {}
        for entry in published["keys"]:
            # Others than for signatures may stand beside them, and some of kinds to come.
            if entry.get("use", "sig") == "sig" and entry.get("kty") in {"RSA", "EC", "OKP"}:
                with contextlib.suppress(jwt.PyJWTError):
                    keys[str(entry.get("kid"))] = jwt.PyJWK.from_dict(entry)
        return keys

    async def _get(self, client: httpx.AsyncClient, url: str) -> dict[str, Any]:
        async with client.stream("GET", _checked(url)) as answer:
            answer.raise_for_status()
            body = b""
            async for part in answer.aiter_bytes():
                body += part
                if len(body) > _LONGEST_ANSWER:
                    raise ValueError("the issuer's answer is too long")
        return dict(httpx.Response(200, content=body).json())
