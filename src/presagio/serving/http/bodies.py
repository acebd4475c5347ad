"""A request's body: bounded, plain, read in one step from bytes to model."""

from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect

from presagio.machine.spec import MachineSpec
from presagio.readings.json_object import repeated_key
from presagio.readings.rules import Reason
from presagio.serving.http.answers import FieldFault
from presagio.serving.http.problems import RefusedError, invalid, invalid_request, shown

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Body = TypeVar("Body", bound=BaseModel)


def _too_large(most: int) -> RefusedError:
    return RefusedError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "too-large",
        "The body is too large",
        f"at most {most} bytes are taken here",
    )


def header(scope: Scope, name: bytes) -> str | None:
    """Return a request header's text, or None; ``name`` in lower case."""
    for key, value in scope["headers"]:
        if key == name:
            text: str = value.decode("latin-1")
            return text
    return None


def is_coded(scope: Scope) -> bool:
    """Say whether a body is compressed, or coded in another way."""
    return any(key == b"content-encoding" for key, _ in scope["headers"])


def _refuse_by_headers(scope: Scope, most: int) -> None:
    for key, value in scope["headers"]:
        if key == b"content-length" and int(value) > most:
            raise _too_large(most)
        # A small body may unpack to a huge one.
        if key == b"content-encoding" and value.lower() != b"identity":
            raise RefusedError(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                "compressed-body",
                "Compressed bodies are not taken",
                "send it without Content-Encoding (Parquet and Arrow may be compressed inside)",
                headers={"Accept-Encoding": "identity"},
            )


async def stream_bytes(scope: Scope, receive: Receive, most: int) -> AsyncIterator[bytes]:
    """Yield a body as it comes.

    Raises
    ------
    RefusedError
        If it is larger than ``most`` bytes (413), or compressed (415).
    ClientDisconnect
        If the client goes away.
    """
    _refuse_by_headers(scope, most)
    async for part in _parts(await receive(), receive, most):
        yield part


async def _parts(
    message: MutableMapping[str, Any], receive: Receive, most: int
) -> AsyncIterator[bytes]:
    got = 0
    while True:
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        part: bytes = message.get("body", b"")
        got += len(part)
        if got > most:
            raise _too_large(most)
        yield part
        if not message.get("more_body", False):
            return
        message = await receive()


async def read_bytes(scope: Scope, receive: Receive, most: int) -> bytes:
    """Read a body whole; refusals as of :func:`stream_bytes`."""
    _refuse_by_headers(scope, most)
    message = await receive()
    if not message.get("more_body", False):
        whole: bytes = message.get("body", b"")
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        if len(whole) > most:
            raise _too_large(most)
        return whole
    # Not a list of parts, which may be a byte each.
    body = bytearray()
    async for part in _parts(message, receive, most):
        body += part
    return bytes(body)


async def read_model(
    scope: Scope,
    receive: Receive,
    wanted: type[Body],
    spec: MachineSpec,
    most: int,
    colons: Callable[[Body], int] | None = None,
) -> Body:
    """Read a request's JSON.

    From bytes to model in one step: faster than parsing JSON first, and what is no JSON, no UTF-8
    or no number is a fault of the request like any other.

    Parameters
    ----------
    wanted, spec
        The model, and the machine spec that it is made from.
    most
        How many bytes are taken.
    colons
        Of what was read, how many colons it is written with where no key stands there twice: then
        it need not be looked at again for such keys.

    Raises
    ------
    RefusedError
        If it is not what is wanted, or as of :func:`stream_bytes`.
    """
    raw = await read_bytes(scope, receive, most)
    try:
        read = wanted.model_validate_json(raw)
    except ValidationError as err:
        raise invalid_request(err, spec) from err
    looked_at = colons is not None and not may_repeat_keys(raw, colons(read))
    if not looked_at and (key := repeated_key(raw, spec)) is not None:
        field = shown(key)[1:-1]
        raise invalid(
            [FieldFault(field=field, reason=Reason.REPEATED_KEY, got="two", allowed="one")]
        )
    return read


def may_repeat_keys(raw: bytes | bytearray, colons: int) -> bool:
    """Tell whether a key may stand twice in a JSON text that would do with so many colons.

    One that is written as an escape would make up for one too many.
    """
    return raw.count(b":") > colons or b"\\" in raw
