"""The identity provider: asked in one event loop of its own, so that every wait has an end."""

import asyncio
import hmac
import threading
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar
from urllib.parse import quote_plus, urlencode, urlsplit, urlunsplit

import httpx
import jwt

from presagio.console.oidc.attempt import Attempt
from presagio.console.oidc.faults import NotSignedInError, Reason
from presagio.console.oidc.person import is_complete
from presagio.serving.issuers import FAULTS, OidcIssuer, new_client, read_object
from presagio.settings import Settings

Answer = TypeVar("Answer")
# For all that one page asks the provider; who waits for its answer waits little longer.
_TOTAL_S, _SPARE_S = 15.0, 1.0
# How much clocks may differ.
_LEEWAY_S = 60.0
_SHOWN = 300


class Provider:
    """The identity provider of the settings; safe to use from several threads.

    Parameters
    ----------
    settings
        Those of the deployment; they name an issuer.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client_id = settings.console_oidc_client_id
        self._issuer = OidcIssuer(
            settings.console_oidc_issuer or "", self._client_id, leeway_s=_LEEWAY_S
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="identity provider", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.run_until_complete(_cancel_all())
        self._loop.close()

    def close(self) -> None:
        """Ask no more."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_SPARE_S)

    @property
    def issuer(self) -> str:
        """Its issuer."""
        return self._issuer.issuer

    def address(self, attempt: Attempt, callback: str) -> str:
        """Return where a browser is sent to for a sign-in.

        Parameters
        ----------
        attempt
            The sign-in that begins.
        callback
            The address of the console that it comes back to.

        Raises
        ------
        NotSignedInError
            If the provider does not answer.
        """
        self._wait(self._issuer.discover())
        return _with_query(
            self._endpoint("authorization_endpoint"),
            response_type="code", client_id=self._client_id, redirect_uri=callback,
            scope=self._settings.console_oidc_scope, state=attempt.state, nonce=attempt.nonce,
            code_challenge=attempt.challenge, code_challenge_method="S256",
        )  # fmt: skip

    def sign_out_address(self, back: str) -> str | None:
        """Return where a browser is sent to for a sign-out; None where that is not known now.

        Parameters
        ----------
        back
            The address of the console to come back to.
        """
        try:
            where = self._issuer.endpoint("end_session_endpoint")
        except ValueError:
            return None
        return _with_query(where, client_id=self._client_id, post_logout_redirect_uri=back)

    def claims(self, code: str, issuer: str, attempt: Attempt, callback: str) -> dict[str, Any]:
        """Return what the provider says of who has signed in.

        Parameters
        ----------
        code, issuer
            What the browser has brought; the issuer is empty where it has brought none.
        attempt, callback
            As they were for :meth:`address`.

        Raises
        ------
        NotSignedInError
            If the provider does not answer, refuses, or what it says is not good.
        """
        return self._wait(self._claims(code, issuer, attempt, callback))

    def _check_issuer(self, given: str) -> None:
        """Check that an answer comes from this provider, as far as it says (RFC 9207)."""
        says = self._issuer.known.get("authorization_response_iss_parameter_supported") is True
        if (given or says) and given != self.issuer:
            raise NotSignedInError("untrue", f"the answer is of the issuer {given!r}")

    def _endpoint(self, name: str) -> str:
        try:
            return self._issuer.endpoint(name)
        except ValueError as err:
            raise NotSignedInError("provider", str(err)) from err

    def _wait(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        future = asyncio.run_coroutine_threadsafe(asyncio.wait_for(work, _TOTAL_S), self._loop)
        try:
            return future.result(_TOTAL_S + _SPARE_S)
        except NotSignedInError:
            raise
        except httpx.HTTPStatusError as err:
            raise NotSignedInError(*_refusal(err)) from err
        except FAULTS as err:
            future.cancel()
            raise NotSignedInError("provider", f"{type(err).__name__}: {err}") from err

    async def _claims(
        self, code: str, issuer: str, attempt: Attempt, callback: str
    ) -> dict[str, Any]:
        await self._issuer.discover()
        self._check_issuer(issuer)
        async with new_client() as client:
            tokens = await self._tokens(client, code, attempt, callback)
            try:
                claims = await self._issuer.claims(str(tokens["id_token"]))
                _check(claims, attempt, self._client_id)
            except FAULTS as err:
                raise NotSignedInError("untrue", f"{type(err).__name__}: {err}") from err
            if is_complete(claims, self._settings) or "userinfo_endpoint" not in self._issuer.known:
                return claims
            return await self._more(client, claims, str(tokens.get("access_token")))

    async def _tokens(
        self, client: httpx.AsyncClient, code: str, attempt: Attempt, callback: str
    ) -> dict[str, Any]:
        form = {
            "grant_type": "authorization_code", "code": code, "redirect_uri": callback,
            "code_verifier": attempt.verifier,
        }  # fmt: skip
        secret, basic = self._settings.console_oidc_client_secret, None
        methods = self._issuer.known.get("token_endpoint_auth_methods_supported")
        if secret is not None and (not methods or "client_secret_basic" in methods):
            basic = httpx.BasicAuth(
                quote_plus(self._client_id), quote_plus(secret.get_secret_value())
            )
        else:
            form["client_id"] = self._client_id
            if secret is not None:
                form["client_secret"] = secret.get_secret_value()
        where = self._endpoint("token_endpoint")
        return await read_object(client, "POST", where, data=form, auth=basic)

    async def _more(
        self, client: httpx.AsyncClient, claims: dict[str, Any], token: str
    ) -> dict[str, Any]:
        """Return claims with those that the provider tells to who has the access token."""
        where = self._endpoint("userinfo_endpoint")
        headers = {"Authorization": f"Bearer {token}"}
        more = await read_object(client, "GET", where, headers=headers)
        if more.get("sub") != claims["sub"]:
            raise NotSignedInError("untrue", "userinfo is of another person")
        return more | claims


async def _cancel_all() -> None:
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


def _with_query(address: str, **fields: str) -> str:
    parts = urlsplit(address)
    query = "&".join(filter(None, (parts.query, urlencode(fields))))
    return urlunsplit(parts._replace(query=query, fragment=""))


def _check(claims: Mapping[str, Any], attempt: Attempt, client_id: str) -> None:
    """Check that an ID token is for this sign-in, and for nobody besides the console.

    Raises
    ------
    jwt.InvalidTokenError
        If not.
    """
    nonce = claims.get("nonce")
    if not isinstance(nonce, str) or not hmac.compare_digest(
        nonce.encode("utf-8", "replace"), attempt.nonce.encode()
    ):
        raise jwt.InvalidTokenError("the nonce is another one")
    audience, party = claims["aud"], claims.get("azp")
    is_shared = isinstance(audience, list) and audience != [client_id]
    if party != client_id if party is not None else is_shared:
        raise jwt.InvalidTokenError(f"it was issued to {party!r}")


def _refusal(err: httpx.HTTPStatusError) -> tuple[Reason, str]:
    answer = err.response
    reason: Reason = "refused" if answer.is_client_error else "provider"
    return reason, f"{err.request.url} answers {answer.status_code}: {answer.text[:_SHOWN]!r}"
