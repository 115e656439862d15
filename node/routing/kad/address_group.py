"""Which addresses one operator is likely to have together, so that no one fills a table or a look-up."""

from __future__ import annotations

import ipaddress

from node.routing.router import Provider

_V4_BITS, _V6_BITS = 16, 32


def groups_of(peer: Provider) -> frozenset[str]:
    """Its /16 networks of IPv4, its /32 of IPv6, its domains; local addresses are in no group."""
    return frozenset(group for address in peer.addresses if (group := _group(address)))


def _group(address: str) -> str:
    _, kind, host, *_ = (*address.split("/"), "", "")
    if kind.startswith("dns"):
        return ".".join(host.lower().removesuffix(".").split(".")[-2:])
    try:
        place = ipaddress.ip_address(host)
    except ValueError:
        return ""
    if not place.is_global:
        return ""
    bits = _V4_BITS if place.version == 4 else _V6_BITS
    return str(ipaddress.ip_network((place, bits), strict=False))
