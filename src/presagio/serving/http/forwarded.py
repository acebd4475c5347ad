"""Who asks, where proxies that are trusted stand between: the last address that is none of theirs.

A header is looked at only where the connection comes from a trusted proxy, and when somebody wants
to know. What a client wrote itself stands left of what the first trusted proxy added, and is never
believed.
"""

import contextlib
import ipaddress
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from pydantic import IPvAnyNetwork

from presagio.serving.http.bodies import Scope

# Longer lists are no route of a request; the addresses at their end count.
_MOST_HOPS = 32
_IPV6_NETWORK = 64
_FOR, _PROTO = b"x-forwarded-for", b"x-forwarded-proto"

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def _address(text: str) -> _Address | None:
    """Return the address of a hop, which may have a port; None where it is none."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    # As a server that listens on both versions names a peer of version 4.
    mapped = getattr(found, "ipv4_mapped", None)
    return found if mapped is None else mapped


def network_of(address: str) -> str:
    """Return what attempts are counted by: one customer has many addresses of version 6."""
    with contextlib.suppress(ValueError):
        parsed = ipaddress.ip_address(address)
        if isinstance(parsed, ipaddress.IPv6Address):
            return str(ipaddress.ip_network((parsed, _IPV6_NETWORK), strict=False))
    return address


class Proxies:
    """Knows which proxies are trusted.

    Parameters
    ----------
    networks
        Their networks; with none, no header is believed.
    """

    def __init__(self, networks: Sequence[IPvAnyNetwork]) -> None:
        self._networks: tuple[Any, ...] = tuple(networks)
        # A peer asks again and again.
        self._is_trusted_peer = lru_cache(4096)(self._trusts_text)

    def _trusts(self, address: _Address) -> bool:
        return any(address in network for network in self._networks)

    def _trusts_text(self, text: str) -> bool:
        address = _address(text)
        return address is not None and self._trusts(address)

    def client(self, scope: Scope) -> str:
        """Return the address of who asks; empty where the server does not know its peer."""
        peer: str = scope["client"][0] if scope.get("client") else ""
        if not self._networks or not self._is_trusted_peer(peer):
            return peer
        hops = ",".join(
            value.decode("latin-1") for key, value in scope["headers"] if key == _FOR
        ).rsplit(",", _MOST_HOPS)[-_MOST_HOPS:]
        last = peer
        for hop in reversed(hops):
            address = _address(hop)
            if address is None:
                # Nothing that a proxy writes: nobody left of it is believed either.
                return last
            last = str(address)
            if not self._trusts(address):
                return last
        return last

    def resolve(self, scope: Scope) -> None:
        """Put client and scheme into a scope as they are before the proxies."""
        peer = scope["client"][0] if scope.get("client") else ""
        if not self._networks or not self._is_trusted_peer(peer):
            return
        scope["client"] = self.client(scope), 0
        for key, value in scope["headers"]:
            # The last one is the nearest proxy's.
            if key == _PROTO:
                scheme = value.rpartition(b",")[2].strip().lower()
                if scheme in {b"http", b"https"}:
                    scope["scheme"] = scheme.decode()
