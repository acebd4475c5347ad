"""Who may ask what: bearer tokens with scopes, and the route that gives tokens out."""

import base64
import binascii
import ipaddress
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import parse_qs, unquote_plus

from fastapi import APIRouter, Depends, Request
from fastapi.openapi.models import OAuthFlowClientCredentials, OAuthFlowPassword, OAuthFlows
from fastapi.responses import JSONResponse
from fastapi.security import OAuth2, SecurityScopes
from pydantic import BaseModel, Field

from presagio.serving.auth.accounts import Account, Kind
from presagio.serving.auth.passwords import Passwords
from presagio.serving.auth.tokens import SCOPES, Authority, Principal, Scope, invalid_token
from presagio.serving.executors import Executors
from presagio.serving.http import bodies
from presagio.serving.http.problems import RefusedError, problems
from presagio.serving.shared.database import Database
from presagio.settings import Settings

_MOST_FIELDS = 20
_EVERYBODY = Principal("everybody", frozenset(SCOPES), float("inf"))
_GRANTS: dict[str, Kind] = {"password": "user", "client_credentials": "client"}


class Token(BaseModel):
    """A token (RFC 6749)."""

    access_token: Annotated[str, Field(description="Send it as `Authorization: Bearer …`.")]
    token_type: Annotated[str, Field(examples=["bearer"])] = "bearer"  # noqa: S105 - its kind
    expires_in: Annotated[int, Field(description="Seconds that it holds.", examples=[3600])]
    scope: Annotated[str, Field(description="What it is good for.", examples=["predict"])]


class Guard:
    """Lets requests through, or refuses them."""

    def __init__(self, authority: Authority | None) -> None:
        self.authority = authority

    async def admit(self, scope: bodies.Scope, needed: Scope | None) -> Principal:
        """Return who asks.

        Parameters
        ----------
        scope
            The request's ASGI scope.
        needed
            The scope that the token must have; None where any valid token will do.

        Raises
        ------
        RefusedError
            401 without a valid token, 403 if it lacks the scope.
        """
        if self.authority is None:
            return _EVERYBODY
        given = bodies.header(scope, b"authorization")
        kind, _, token = (given or "").partition(" ")
        if kind.lower() != "bearer" or not token:
            raise invalid_token("the request has no bearer token")
        principal = await self.authority.verify(token)
        if needed is not None and needed not in principal.scopes:
            raise RefusedError(
                HTTPStatus.FORBIDDEN,
                "forbidden",
                "The token is not good for this",
                f"it needs the scope {needed}",
                headers={
                    "WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{needed}"'
                },
            )
        return principal

    def remembers(self, scope: bodies.Scope, needed: Scope) -> bool:
        """Say whether :meth:`admit` let this token through a moment ago, and would again."""
        if self.authority is None:
            return True
        kind, _, token = (bodies.header(scope, b"authorization") or "").partition(" ")
        principal = self.authority.remembered(token) if kind.lower() == "bearer" else None
        return principal is not None and needed in principal.scopes


_ABOUT_SCOPES: dict[str, str] = {scope: about for scope, about in SCOPES.items()}  # noqa: C416
# Only for the documentation and Swagger's Authorize button: admission itself is the guard's.
_SCHEME = OAuth2(
    scheme_name="oauth2",
    flows=OAuthFlows(
        password=OAuthFlowPassword(tokenUrl="token", scopes=_ABOUT_SCOPES),
        clientCredentials=OAuthFlowClientCredentials(tokenUrl="token", scopes=_ABOUT_SCOPES),
    ),
    auto_error=False,
)


async def admitted(
    request: Request, wanted: SecurityScopes, _scheme: Annotated[Any, Depends(_SCHEME)]
) -> Principal:
    """Let a request through, or refuse it, by the scope that its route names."""
    guard: Guard = request.app.state.guard
    needed: Any = next(iter(wanted.scopes), None)
    return await guard.admit(request.scope, needed)


def _refused(error: str, why: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> JSONResponse:
    # As OAuth2 clients expect it (RFC 6749, section 5.2), which knows no problem documents.
    headers = {"WWW-Authenticate": "Basic"} if status == HTTPStatus.UNAUTHORIZED else None
    return JSONResponse({"error": error, "error_description": why}, status, headers)


def _basic(request: Request) -> tuple[str, str] | None:
    kind, _, coded = (request.headers.get("authorization") or "").partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        name, _, secret = base64.b64decode(coded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return unquote_plus(name), unquote_plus(secret)


async def _asker(request: Request, authority: Authority) -> str:
    """Return the address that wrong passwords are counted by.

    A program that asks for its visitors, as the console does, names a visitor's address; it is
    believed with a token of the scope ``admin``, whose bearer may do worse.

    Raises
    ------
    RefusedError
        401 or 403, if an address is named without such a token.
    """
    visitor = request.headers.get("presagio-client-address")
    if visitor is None:
        return request.client.host if request.client else ""
    await Guard(authority).admit(request.scope, "admin")
    try:
        return str(ipaddress.ip_address(visitor))
    except ValueError:
        raise RefusedError(
            HTTPStatus.BAD_REQUEST, "no-address", "The visitor's address is none",
            "Presagio-Client-Address is an IP address",
        ) from None  # fmt: skip


def _wanted(account: Account, asked: str) -> list[Scope] | None:
    if not asked.split():
        return list(account.scopes)
    granted = [scope for scope in account.scopes if scope in asked.split()]
    return granted or None


def token_router(
    settings: Settings, authority: Authority, executors: Executors, database: Database | None
) -> APIRouter:
    """Make the route that gives tokens out."""
    router = APIRouter(tags=["token"])
    passwords = Passwords(settings, executors, database)

    async def read_form(request: Request) -> dict[str, str] | None:
        most = settings.api_open_body_bytes
        raw = await bodies.read_bytes(request.scope, request.receive, most)
        try:
            fields = parse_qs(raw.decode(), max_num_fields=_MOST_FIELDS)
        except ValueError:
            return None
        return {name: values[0] for name, values in fields.items()}

    @router.post("/token", responses=_TOKEN_ANSWERS, openapi_extra={"requestBody": _FORM})
    async def token(request: Request) -> Token:
        """Give a token for a password, or for a client's secret."""
        form = await read_form(request)
        if form is None:
            return _refused("invalid_request", "the body is no form")  # type: ignore[return-value]
        kind = _GRANTS.get(form.get("grant_type", "password"))
        if kind is None:
            why = f"grant_type is one of {', '.join(_GRANTS)}"
            return _refused("unsupported_grant_type", why)  # type: ignore[return-value]
        basic = _basic(request) if kind == "client" else None
        names = ("username", "password") if kind == "user" else ("client_id", "client_secret")
        name, secret = basic or (form.get(names[0], ""), form.get(names[1], ""))
        address = await _asker(request, authority)
        account = await passwords.verify(kind, name, secret, address)
        if account is None:
            if kind == "client":
                return _refused(  # type: ignore[return-value]
                    "invalid_client", "name or secret is wrong", HTTPStatus.UNAUTHORIZED
                )
            return _refused("invalid_grant", "name or password is wrong")  # type: ignore[return-value]
        scopes = _wanted(account, form.get("scope", ""))
        if scopes is None:
            return _refused("invalid_scope", "not one that the account has")  # type: ignore[return-value]
        made, holds = authority.issue(account.name, scopes)
        return Token(access_token=made, expires_in=holds, scope=" ".join(scopes))

    return router


_FORM: dict[str, Any] = {
    "required": True,
    "content": {
        "application/x-www-form-urlencoded": {
            "schema": {
                "type": "object",
                "properties": {
                    "grant_type": {"type": "string", "enum": list(_GRANTS)},
                    "username": {"type": "string"},
                    "password": {"type": "string", "format": "password"},
                    "client_id": {"type": "string"},
                    "client_secret": {"type": "string", "format": "password"},
                    "scope": {"type": "string", "description": "Scopes, with spaces between."},
                },
            }
        }
    },
}
_OAUTH_ERROR = {
    "type": "object",
    "properties": {"error": {"type": "string"}, "error_description": {"type": "string"}},
    "required": ["error"],
}


def _oauth_answer(about: str) -> dict[str, Any]:
    return {"description": about, "content": {"application/json": {"schema": _OAUTH_ERROR}}}


_TOKEN_ANSWERS: dict[int | str, dict[str, Any]] = {
    HTTPStatus.BAD_REQUEST.value: _oauth_answer("Not a grant, or not the right password."),
    HTTPStatus.UNAUTHORIZED.value: _oauth_answer("Not the client's secret."),
    **problems(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
}
