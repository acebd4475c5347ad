"""Requests to upgrade to another protocol, which are answered as HTTP/1.1 (RFC 9110, 7.8)."""

from collections.abc import Iterable

_ABOUT_UPGRADE = frozenset({b"upgrade", b"http2-settings"})


def _kept(value: bytes) -> bytes:
    """Return a Connection header's options without those that are about an upgrade."""
    options = [option.strip() for option in value.split(b",")]
    return b", ".join(option for option in options if option.lower() not in _ABOUT_UPGRADE)


def head_without_upgrade(
    method: bytes, url: bytes, version: str, headers: Iterable[tuple[bytes, bytes]]
) -> bytes:
    """Return the head of a request that was parsed, without its wish for another protocol.

    The parser takes what follows such a head for the other protocol, so a body would be lost; the
    head is parsed again instead. Names of headers are in lower case.
    """
    lines = [b"%s %s HTTP/%s" % (method, url, version.encode())]
    for name, value in headers:
        if name == b"connection":
            if kept := _kept(value):
                lines.append(b"connection: " + kept)
        elif name not in _ABOUT_UPGRADE:
            lines.append(name + b": " + value)
    return b"\r\n".join([*lines, b"", b""])
