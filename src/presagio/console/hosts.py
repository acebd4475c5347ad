"""Requests for no host are refused before anything reads an address of theirs."""

import re
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

# A name, or an address, and perhaps a port.
_HOST = re.compile(r"(?:\[[0-9a-fA-F:.]+\]|[\w.-]+)(?::(\d{1,5}))?", re.ASCII)
_HIGHEST_PORT = 65535


def is_host(text: str) -> bool:
    """Tell whether text can be the header ``Host``."""
    found = _HOST.fullmatch(text)
    return found is not None and int(found[1] or 0) <= _HIGHEST_PORT


def with_hosts(app: ASGIApp) -> ASGIApp:
    """Wrap an application so that it sees no request whose header ``Host`` is no host."""
    refused = PlainTextResponse("The header Host is no host.\n", HTTPStatus.BAD_REQUEST)

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        given = Headers(scope=scope).get("host") if scope["type"] == "http" else None
        await (app if given is None or is_host(given) else refused)(scope, receive, send)

    return answer
