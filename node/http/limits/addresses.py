"""Which address a request comes from: behind trusted proxies it is the one that they report."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from functools import lru_cache

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_MAX_HOPS = 16
_MAX_TEXT = 64  # characters of an address with brackets, scope and port


class TrustedProxies:
    """Proxies whose X-Forwarded-For is believed. Raises ValueError for what is no address or network."""

    def __init__(self, networks: Iterable[str]) -> None:
        self._networks = [ipaddress.ip_network(text, strict=False) for text in networks]

    def client(self, remote: str, forwarded: str) -> Address | None:
        """The last address that is no trusted proxy; None where `remote` is no IP address.

        `forwarded`: all of X-Forwarded-For, with commas. What does not parse ends the search: it was not
        written by a proxy.
        """
        client = parse(remote)
        for text in reversed(forwarded.rsplit(",", _MAX_HOPS)) if forwarded else ():
            if client is None or not self.trusts(client):
                break
            before = parse(text.strip())
            if before is None:
                break
            client = before
        return client

    def trusts(self, address: Address) -> bool:
        """Whether it is one of them."""
        return any(address in network for network in self._networks)


def parse(text: str) -> Address | None:
    """With a port and brackets or without; an IPv4 address in IPv6's form is that IPv4 address."""
    return _parse(text) if len(text) <= _MAX_TEXT else None


@lru_cache(4096)
def _parse(text: str) -> Address | None:
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def key_of(address: Address | None) -> bytes:
    """What counts as one client: an IPv4 address, or the /64 that an IPv6 client has to itself."""
    return address.packed[:8] if address is not None else b""
