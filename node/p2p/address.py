"""Multiaddresses as far as this node dials and listens on them: TCP over IP or a DNS name."""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Iterable
from dataclasses import dataclass

from node.identity import BadIdentity, from_base58
from node.p2p.errors import BadAddress, PortInUse

_HOST_KINDS = {"ip4", "ip6", "dns", "dns4", "dns6"}
_BACKLOG = 128


@dataclass(frozen=True, slots=True)
class Address:
    """`/<kind>/<host>/tcp/<port>[/p2p/<peer>]`."""

    kind: str
    host: str
    port: int
    peer: str | None = None

    def __str__(self) -> str:
        tail = f"/p2p/{self.peer}" if self.peer else ""
        return f"/{self.kind}/{self.host}/tcp/{self.port}{tail}"


def parse(text: str) -> Address:
    """Raises BadAddress, naming what is wrong with it."""
    parts = text.strip().split("/")
    if (
        len(text) > 512
        or len(parts) not in (5, 7)
        or parts[0]
        or parts[3] != "tcp"
        or parts[1] not in _HOST_KINDS
    ):
        raise BadAddress(f'"{text[:200]}" is not of the form /ip4/<address>/tcp/<port>/p2p/<peer id>')
    if not parts[4].isdecimal() or int(parts[4]) > 65535:
        raise BadAddress(f'"{text}": {parts[4]} is not a port')
    _check_host(text, parts[1], parts[2])
    if len(parts) == 5:
        return Address(parts[1], parts[2], int(parts[4]))
    if parts[5] != "p2p":
        raise BadAddress(f'"{text}": only /p2p/<peer id> may follow the port')
    check_peer(parts[6])
    return Address(parts[1], parts[2], int(parts[4]), parts[6])


def check_peer(peer: str) -> None:
    """Raises BadAddress unless it is the base58 text of a peer id (an identity or sha2-256 multihash)."""
    try:
        data = from_base58(peer)
    except BadIdentity as error:
        raise BadAddress(str(error)) from None
    if len(data) < 3 or len(data) != data[1] + 2 or data[0] not in (0x00, 0x12):
        raise BadAddress(f'"{peer}" is not a peer id')


def _check_host(text: str, kind: str, host: str) -> None:
    try:
        if kind == "ip4":
            ipaddress.IPv4Address(host)
        elif kind == "ip6":
            ipaddress.IPv6Address(host)
        elif not host:
            raise ValueError
    except ValueError:
        raise BadAddress(f'"{text}": "{host}" is no {kind} address') from None


def bind(address: Address, setting: str) -> socket.socket:
    """A listening socket; port 0 takes any free one. Raises PortInUse, BadAddress."""
    family = socket.AF_INET6 if address.kind == "ip6" else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((address.host, address.port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(str(address), setting) from None
        raise BadAddress(f"cannot listen on {address}: {error.strerror}; see the setting {setting}") from None
    return listener


def listening(sockets: Iterable[socket.socket], peer: str) -> tuple[str, ...]:
    """The addresses others can dial, `/p2p/` included; a wildcard becomes this machine's own addresses."""
    found = []
    for listener in sockets:
        host, port = listener.getsockname()[:2]
        kind = "ip6" if listener.family == socket.AF_INET6 else "ip4"
        hosts = _interfaces(kind) if ipaddress.ip_address(host).is_unspecified else [host]
        found += [str(Address(kind, one, port, peer)) for one in hosts]
    return tuple(found)


def _interfaces(kind: str) -> list[str]:
    """Own addresses of that family, the loopback one last."""
    from psutil import net_if_addrs  # type: ignore[import-untyped]  # its types are not in py-libp2p's needs

    family = socket.AF_INET6 if kind == "ip6" else socket.AF_INET
    found = {
        entry.address.partition("%")[0]
        for entries in net_if_addrs().values()
        for entry in entries
        if entry.family == family
    }
    usable = [host for host in found if not ipaddress.ip_address(host).is_link_local]
    return sorted(usable, key=lambda host: (ipaddress.ip_address(host).is_loopback, host))
