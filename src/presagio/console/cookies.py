"""The console's cookies: none that a script reads, or that a form of another site sends along."""

from typing import Literal

from starlette.requests import Request
from starlette.responses import Response

_LANGUAGE = "presagio_language"
_LANGUAGE_S = 365 * 24 * 3600


def _name(request: Request, kind: str) -> str:
    """Return a cookie's name; with the port, since cookies of all ports of a host are one's."""
    name = f"presagio_{kind}_{request.url.port or 0}"
    # Browsers take such a cookie over TLS only, for this host only.
    return f"__Host-{name}" if request.url.scheme == "https" else name


def _same_site(kind: str) -> Literal["lax", "strict"]:
    # A page of the identity provider sends the browser back, which then sends no strict ones.
    return "lax" if kind == "oidc" else "strict"


def read(request: Request, kind: str) -> str:
    """Return the secret of a cookie (``session``, ``visit``, ``oidc``); empty without it."""
    return request.cookies.get(_name(request, kind), "")


def write(
    request: Request, response: Response, kind: str, secret: str, *, lasts_s: int | None = None
) -> None:
    """Give the browser a secret, until it is closed, or for some seconds."""
    response.set_cookie(
        _name(request, kind), secret, path="/", httponly=True, samesite=_same_site(kind),
        secure=request.url.scheme == "https", max_age=lasts_s,
    )  # fmt: skip


def remove(request: Request, response: Response, kind: str) -> None:
    """Have the browser forget a secret."""
    response.delete_cookie(
        _name(request, kind), path="/", httponly=True, samesite=_same_site(kind),
        secure=request.url.scheme == "https",
    )  # fmt: skip


def language(request: Request) -> str | None:
    """Return the language that the visitor has chosen."""
    return request.cookies.get(_LANGUAGE)


def remember_language(request: Request, response: Response, code: str) -> None:
    """Remember the language that the visitor has chosen."""
    response.set_cookie(
        _LANGUAGE, code, path="/", max_age=_LANGUAGE_S, httponly=True, samesite="lax",
        secure=request.url.scheme == "https",
    )  # fmt: skip
