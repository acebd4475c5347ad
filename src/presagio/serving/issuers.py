"""An outside issuer of tokens: found by OIDC discovery, its keys fetched, kept and renewed."""

import asyncio
import contextlib
import logging
import ssl
import time
from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import httpx
import jwt

from presagio.settings.sign_in import is_private

_log = logging.getLogger(__name__)
# Asymmetric ones only: with these no public key can pass as a shared secret.
_ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")
_KEPT_S = 600.0
# A token with a key that is not known has them fetched anew, at most so often.
_RENEWED_S = 30.0
# For one step of a request, and for all of the keys.
_TIMEOUT_S, _TOTAL_S = 5.0, 10.0
_LONGEST_ANSWER = 1 << 20
# What goes wrong with an issuer that is down, or whose answers are none.
FAULTS = (
    httpx.HTTPError, httpx.InvalidURL, ValueError, LookupError, TypeError, AttributeError,
    RecursionError, TimeoutError, jwt.PyJWTError,
)  # fmt: skip


@cache
def _certificates() -> ssl.SSLContext:
    # They take some 30 ms to read.
    return httpx.create_ssl_context()


def new_client() -> httpx.AsyncClient:
    """Return a client for requests to an issuer: it waits for no step longer than some seconds."""
    return httpx.AsyncClient(
        timeout=_TIMEOUT_S, follow_redirects=False, verify=_certificates(),
        # Unpacked, a small answer may be a large one.
        headers={"Accept-Encoding": "identity"},
    )  # fmt: skip


async def read_object(
    client: httpx.AsyncClient, method: str, address: str, **given: Any
) -> dict[str, Any]:
    """Send a request, and return the JSON object that answers it.

    Parameters
    ----------
    client
        Of :func:`new_client`.
    **given
        What else :meth:`httpx.AsyncClient.stream` takes.

    Raises
    ------
    httpx.HTTPError
        If there is no answer, or it is an error.
    ValueError
        If the answer is too long, or no JSON object.
    """
    body = bytearray()
    async with client.stream(method, address, **given) as answer:
        async for part in answer.aiter_raw():
            body += part
            if len(body) > _LONGEST_ANSWER:
                raise ValueError("the issuer's answer is too long")
    whole = httpx.Response(answer.status_code, content=bytes(body), request=answer.request)
    found = whole.raise_for_status().json()
    if not isinstance(found, dict):
        raise ValueError("the issuer's answer is no JSON object")  # noqa: TRY004 - of an answer
    return found


class OidcIssuer:
    """Verifies the tokens of one issuer by the keys that it publishes.

    For an unknown key they are fetched anew, once in ``renewed_s`` seconds at most. Times in tokens
    may differ from this machine's by ``leeway_s``.
    """

    def __init__(
        self, issuer: str, audience: str, *, renewed_s: float = _RENEWED_S, leeway_s: float = 0.0
    ) -> None:
        self.issuer, self._audience, self._renewed_s = issuer, audience, renewed_s
        self._leeway_s = leeway_s
        self._keys: dict[str, jwt.PyJWK] = {}
        # The discovery document that was fetched last; empty before.
        self.known: Mapping[str, Any] = {}
        self._fetched = float("-inf")
        self._fetching = asyncio.Lock()
        self._renewal: asyncio.Task[None] | None = None

    def endpoint(self, name: str) -> str:
        """Return an address that the discovery document names.

        Raises
        ------
        ValueError
            If it names none, or one that may not be asked.
        """
        found = self.known.get(name)
        if not isinstance(found, str) or not self._may_ask(found):
            raise ValueError(f"{name} of {self.issuer} is no address that may be asked: {found!r}")
        return found

    def _may_ask(self, address: str) -> bool:
        # One elsewhere has no business with what listens on this machine only.
        is_local = urlsplit(self.issuer).scheme == "http"
        return is_private(address) and (is_local or urlsplit(address).scheme == "https")

    async def discover(self) -> Mapping[str, Any]:
        """Return the discovery document.

        Raises
        ------
        jwt.PyJWTError
            If it cannot be had.
        """
        await self._keep_up(known=bool(self.known))
        if not self.known:
            raise jwt.PyJWKClientConnectionError(f"{self.issuer} cannot be asked")
        return self.known

    async def claims(self, token: str) -> dict[str, Any]:
        """Return what a token says.

        Raises
        ------
        jwt.PyJWTError
            If it is not good, or its issuer's keys cannot be had.
        """
        kid = str(jwt.get_unverified_header(token).get("kid"))
        await self._keep_up(known=kid in self._keys)
        if (key := self._keys.get(kid)) is None:
            raise jwt.InvalidKeyError("no key of the issuer's")
        algorithm = key.algorithm_name
        if algorithm not in _ALGORITHMS:
            raise jwt.InvalidAlgorithmError("not an algorithm that is taken here")
        claims: dict[str, Any] = jwt.decode(
            token, key, [algorithm], audience=self._audience, issuer=self.issuer,
            leeway=self._leeway_s, options={"require": ["exp", "aud", "iss", "sub"]},
        )  # fmt: skip
        return claims

    async def _keep_up(self, *, known: bool) -> None:
        age = time.monotonic() - self._fetched
        if known:
            if age > _KEPT_S:
                # Nobody waits for an issuer that is slow to say again what is known.
                self._renewal = asyncio.create_task(self._renew())
        elif age > self._renewed_s or self._fetching.locked():
            await self._renew()

    async def _renew(self) -> None:
        async with self._fetching:
            if time.monotonic() - self._fetched <= self._renewed_s:
                return
            # Also when it fails: an issuer that is down is not asked for each request.
            self._fetched = time.monotonic()
            try:
                async with asyncio.timeout(_TOTAL_S):
                    self.known, self._keys = await self._fetch()
            except FAULTS as err:
                # Keys that were had before are good still.
                _log.warning("the keys of %s cannot be had: %r", self.issuer, err)

    async def _fetch(self) -> tuple[dict[str, Any], dict[str, jwt.PyJWK]]:
        async with new_client() as client:
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
        return found, keys

    async def _get(self, client: httpx.AsyncClient, address: str) -> dict[str, Any]:
        if not self._may_ask(address):
            raise ValueError(f"{address!r} may not be asked")
        return await read_object(client, "GET", address)
