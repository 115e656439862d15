"""Multiaddresses as members announce them, read and bounded before one is stored, passed on or dialled.

TCP over IP or over a DNS name. What other transports need gets a field of its own in records, so that members
of this version do not refuse the rest.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from cluster.common.peer_id import check_peer
from cluster.errors import BadAddress

MAX_ADDRESS = 400
"""Characters: a DNS name of 253, the port, and a peer id."""

MAX_ADDRESSES = 32
"""Of one peer."""

_MAX_HOST = 253
_HOST_KINDS = {"ip4", "ip6", "dns", "dns4", "dns6"}
_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")


@dataclass(frozen=True, slots=True)
class Address:
    """`/<kind>/<host>/tcp/<port>[/p2p/<peer>]`."""

    kind: str
    host: str
    port: int
    peer: str | None = None

    @classmethod
    def parse(cls, text: str) -> Address:
        """Raises BadAddress, naming what is wrong with it."""
        parts = text.split("/")
        if (
            len(text) > MAX_ADDRESS
            or len(parts) not in (5, 7)
            or (parts[0], parts[3], *parts[5:6]) not in (("", "tcp"), ("", "tcp", "p2p"))
            or parts[1] not in _HOST_KINDS
        ):
            raise BadAddress(f"{_quoted(text)} is not of the form /ip4/<address>/tcp/<port>/p2p/<peer id>")
        _check_host(text, parts[1], parts[2])
        _check_port(text, parts[4])
        if len(parts) == 7:
            check_peer(parts[6])
        return cls(parts[1], parts[2], int(parts[4]), parts[6] if len(parts) == 7 else None)

    def __str__(self) -> str:
        tail = f"/p2p/{self.peer}" if self.peer else ""
        return f"/{self.kind}/{self.host}/tcp/{self.port}{tail}"


def check_dialable(addresses: Sequence[str], peer: str) -> None:
    """Raises BadAddress unless each of them is one where that peer can be dialled."""
    if len(addresses) > MAX_ADDRESSES:
        raise BadAddress(f"{len(addresses)} addresses of one peer; the limit is {MAX_ADDRESSES}")
    for text in addresses:
        address = Address.parse(text)
        if address.peer != peer or not address.port:
            raise BadAddress(f"{_quoted(text)} is not where {peer} can be dialled")


def dialable(addresses: Sequence[str], peer: str) -> tuple[str, ...]:
    """Those of them where that peer can be dialled, MAX_ADDRESSES at most."""
    fit = []
    for text in addresses:
        with suppress(BadAddress):
            check_dialable([text], peer)
            fit.append(text)
    return tuple(fit[:MAX_ADDRESSES])


def is_public(text: str) -> bool:
    """Whether others can dial it from anywhere: at a DNS name, or an IP address that is not a local one."""
    with suppress(BadAddress):
        address = Address.parse(text)
        return address.kind not in ("ip4", "ip6") or ipaddress.ip_address(address.host).is_global
    return False


def _check_host(text: str, kind: str, host: str) -> None:
    try:
        if kind == "ip4":
            ipaddress.IPv4Address(host)
        elif kind == "ip6":
            _check_ip6(host)
        elif len(host) > _MAX_HOST or not all(map(_LABEL.fullmatch, host.removesuffix(".").split("."))):
            raise ValueError
    except ValueError:
        hint = "" if host.isascii() else "; a name beyond ASCII is written in A-labels (xn--…)"
        raise BadAddress(f"{_quoted(text)}: {_quoted(host)} is no {kind} address{hint}") from None


def _check_ip6(host: str) -> None:
    """Without a zone: that means something on one machine only, and may be any text."""
    if "%" in host:
        raise ValueError
    ipaddress.IPv6Address(host)


def _check_port(text: str, port: str) -> None:
    if not (port.isascii() and port.isdecimal()) or len(port) > 5 or int(port) > 65535:
        raise BadAddress(f"{_quoted(text)}: {_quoted(port)} is not a port")


def _quoted(text: str) -> str:
    """In quotes, cut, and with what a terminal would obey spelled out."""
    return f'"{ascii(text[:200])[1:-1]}"'
