"""Records of peers as routers send them, in JSON: bounded, and each taken or left out by itself."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from node.names.errors import BadName
from node.names.name import IpnsName
from node.routing.router import Provider

MAX_LINE = 64 * 1024
"""Bytes of one record."""

_SCHEMAS = ("peer", "bitswap")  # the second is what old routers call it
_MAX_ADDRESSES = 64
_MAX_ADDRESS = 512  # characters
_MAX_PROTOCOLS = 32
_MAX_PROTOCOL = 128


def record_of(line: bytes) -> Provider | None:
    """One line of NDJSON; None for what is no record of a peer."""
    return _provider(_parsed(line)) if len(line) <= MAX_LINE else None


def records_of(document: bytes, name: str) -> Iterator[Provider]:
    """The list of that name in a JSON document; what is no record of a peer is left out."""
    value = _parsed(document)
    listed = value.get(name) if isinstance(value, dict) else None
    for one in listed if isinstance(listed, list) else ():
        if (provider := _provider(one)) is not None:
            yield provider


def _parsed(data: bytes) -> object:
    """None for what is no JSON."""
    try:
        value: object = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return value


def _provider(value: object) -> Provider | None:
    if not isinstance(value, Mapping) or value.get("Schema") not in _SCHEMAS:
        return None
    try:
        peer = IpnsName.parse(value["ID"]).peer_id if isinstance(value.get("ID"), str) else ""
    except BadName:
        peer = ""
    if not peer:
        return None
    addresses = (address.removesuffix(f"/p2p/{peer}") for address in _texts(value.get("Addrs"), _MAX_ADDRESS))
    known = [address for address in addresses if address.startswith("/")]
    protocols = _texts(value.get("Protocols"), _MAX_PROTOCOL)
    return Provider(peer, tuple(dict.fromkeys(known))[:_MAX_ADDRESSES], tuple(protocols[:_MAX_PROTOCOLS]))


def _texts(value: object, longest: int) -> Sequence[str]:
    if not isinstance(value, list):
        return ()
    return [one for one in value if isinstance(one, str) and len(one) <= longest and one.isprintable()]
