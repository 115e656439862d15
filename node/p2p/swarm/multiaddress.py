"""Multiaddresses at the socket: their binary form, listening on them, this machine's own ones.

Their text is read in one place, `cluster/common/address.py`; what other transports a request's parameter may
name is judged in `node/http/go/multiaddresses.py`.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Iterable
from dataclasses import replace

import cluster.errors
from blockstore.common import varint
from cluster.common.address import Address
from node.datadir.identity import to_base58
from node.p2p.errors import ListenAddressInUse, UndialableAddress

__all__ = ["Address", "bind", "from_bytes", "listening", "parse"]

_CODES = {4: "ip4", 41: "ip6", 53: "dns", 54: "dns4", 55: "dns6"}  # of multiaddr's table
_TCP, _P2P = 6, 421
_BACKLOG = 128


def parse(text: str) -> Address:
    """Raises UndialableAddress, naming what is wrong with it."""
    try:
        return Address.parse(text.strip())
    except cluster.errors.BadAddress as error:
        raise UndialableAddress(str(error)) from None


def dialable(addresses: Iterable[str], peer: str) -> list[str]:
    """Those of them where this node could dial that peer, with `/p2p/`; they may be of any transport."""
    found = []
    for text in addresses:
        try:
            address = parse(text)
        except UndialableAddress:
            continue
        if address.port and address.peer in (None, peer):
            found.append(str(replace(address, peer=peer)))
    return found


def from_bytes(data: bytes) -> Address:
    """Its binary form, as identify carries it. Raises UndialableAddress."""
    try:
        code, at = varint.decode(data)
        kind = _CODES[code]
        size, at = (4, at) if code == 4 else (16, at) if code == 41 else varint.decode(data, at)
        host, at = data[at : at + size], at + size
        tcp, at = varint.decode(data, at)
        port, at = int.from_bytes(data[at : at + 2]), at + 2
        if tcp != _TCP or len(host) != size or at > len(data):
            raise UndialableAddress("not TCP, or cut short")
        name = host.decode() if code > 41 else str(ipaddress.ip_address(host))
        return parse(f"/{kind}/{name}/tcp/{port}{_peer_of(data[at:])}")
    except (ValueError, KeyError, IndexError) as error:
        raise UndialableAddress(f"not a binary address that this node dials: {error!r}") from None


def _peer_of(data: bytes) -> str:
    """The end of an address: nothing, or a peer's id."""
    if not data:
        return ""
    code, at = varint.decode(data)
    size, at = varint.decode(data, at)
    if code != _P2P or len(data) != at + size or size > 64:
        raise UndialableAddress("something follows the port that is no peer id")
    return f"/p2p/{to_base58(data[at:])}"


def bind(address: Address, setting: str) -> socket.socket:
    """A listening socket; port 0 takes any free one. Raises ListenAddressInUse, UndialableAddress."""
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
            raise ListenAddressInUse(str(address), setting) from None
        raise UndialableAddress(
            f"cannot listen on {address}: {error.strerror}; see the setting {setting}"
        ) from None
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
