"""Addresses behind a domain name: `/dnsaddr/<name>` and the TXT records of it (multiaddr: dnsaddr)."""

from __future__ import annotations

from node.names.dns import TextLookup
from node.names.errors import DnsFailure
from node.routing.router import Provider

_DEPTH = 4  # names that may lead to names
_MOST = 32  # addresses of one name that are looked at
_PREFIX = "dnsaddr="


async def servers_at(address: str, texts: TextLookup) -> list[Provider]:
    """The peers of an address that ends in `/p2p/`, names in it followed; none where the DNS has none."""
    place, _, peer = address.rpartition("/p2p/")
    found = await _followed(place, peer, texts, _DEPTH)
    return [Provider(peer, tuple(dict.fromkeys(found)))] if found else []


async def _followed(place: str, peer: str, texts: TextLookup, depth: int) -> list[str]:
    name = place.removeprefix("/dnsaddr/")
    if name == place:
        return [place]
    if not depth:
        return []
    try:
        answer = await texts(f"_dnsaddr.{name}")
    except DnsFailure:
        return []
    found: list[str] = []
    for text in answer.texts[:_MOST]:
        inner, _, named = text.removeprefix(_PREFIX).rpartition("/p2p/")
        if text.startswith(_PREFIX) and named == peer:
            found += await _followed(inner, peer, texts, depth - 1)
    return found[:_MOST]
