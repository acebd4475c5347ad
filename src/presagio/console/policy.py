"""Headers of every answer: what a browser may load, and who may show it in a frame."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS = (
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    # To this console only: with none at all, browsers do not say where a form comes from.
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
)
_PRIVATE = (b"cache-control", b"no-store")
# A year: a browser that was here over TLS comes back over TLS.
_STRICT = (b"strict-transport-security", b"max-age=31536000")


def with_policy(app: ASGIApp) -> ASGIApp:
    """Wrap an application so that each answer has the headers."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        await app(scope, receive, _adding(send, is_secure=scope.get("scheme") == "https"))

    return answer


def _adding(
    send: Send, *, is_secure: bool
) -> Callable[[MutableMapping[str, Any]], Awaitable[None]]:
    async def send_with_headers(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            headers = [*message.get("headers", ()), *_HEADERS]
            if not any(name.lower() == _PRIVATE[0] for name, _ in headers):
                headers.append(_PRIVATE)
            if is_secure:
                headers.append(_STRICT)
            message = {**message, "headers": headers}
        await send(message)

    return send_with_headers
