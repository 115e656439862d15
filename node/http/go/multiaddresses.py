"""Multiaddresses in parameters: checked for their form; what this node can dial is p2p's."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator

from node.http.errors import BadRequest
from node.http.go import query_values

MAX_BYTES = 512
_NO_VALUE = frozenset(
    ("quic", "quic-v1", "ws", "wss", "tls", "noise", "http", "https", "webtransport", "webrtc-direct",
     "p2p-circuit")
)  # fmt: skip


def check(text: str) -> None:
    """Raises BadRequest, in ipfs-cluster's words, unless it is a multiaddress that ends at a peer."""
    named = False
    try:
        if len(text) > MAX_BYTES or not text.isascii() or not text.startswith("/"):
            raise ValueError
        for protocol, value in _parts(text):
            _VALUES[protocol](value)
            named = named or protocol == "p2p"
    except (KeyError, ValueError, StopIteration, BadRequest):
        raise BadRequest(f"error decoding multiaddress: {text[:256]}") from None
    if not named:
        raise BadRequest(f"multiaddress does not contain peer ID: {text[:256]}")


def _parts(text: str) -> Iterator[tuple[str, str]]:
    words = iter(text.removesuffix("/").split("/")[1:])
    for word in words:
        if word not in _NO_VALUE:
            value = next(words, "")
            yield word, value


def _host(text: str) -> None:
    if not text or any(not letter.isalnum() and letter not in "-._" for letter in text):
        raise ValueError


def _port(text: str) -> None:
    if not text.isdecimal() or int(text) > 65535:
        raise ValueError


def _peer(text: str) -> None:
    query_values.peer_id(text)


_VALUES: dict[str, Callable[[str], object]] = {
    "ip4": ipaddress.IPv4Address,
    "ip6": ipaddress.IPv6Address,
    **dict.fromkeys(("dns", "dns4", "dns6", "dnsaddr", "sni", "certhash"), _host),
    **dict.fromkeys(("tcp", "udp"), _port),
    "p2p": _peer,
}
