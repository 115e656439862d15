"""The sockets that members connect to: one port, on one address or on all."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from node.errors import NodeError

_BACKLOG = 128


class BulkPortInUse(NodeError):
    """The port of bulk between members cannot be had."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(
            f"cannot listen on {host or 'every address'}:{port} ({reason}): set bulk.host or bulk.port, or"
            " start with --bulk-port (0 = any free one)"
        )


@contextmanager
def listening(host: str, port: int) -> Iterator[list[socket.socket]]:
    """Sockets of one port (0 = any free one) on that address; on all addresses of both kinds without one.

    Raises BulkPortInUse.
    """
    with ExitStack() as stack:
        sockets: list[socket.socket] = []
        try:
            for family, address in _hosts(host, port).items():
                listener = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
                _bind(listener, address, sockets[0].getsockname()[1] if sockets else port)
                sockets.append(listener)
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error.strerror)
            raise BulkPortInUse(host, port, reason) from None
        yield sockets


def _hosts(host: str, port: int) -> dict[socket.AddressFamily, str]:
    """The address to bind of each kind, IPv4 first."""
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    hosts = {family: str(address[0]) for family, _, _, _, address in reversed(found)}
    return {family: hosts[family] for family in (socket.AF_INET, socket.AF_INET6) if family in hosts}


def _bind(listener: socket.socket, address: str, port: int) -> None:
    listener.setblocking(False)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if listener.family == socket.AF_INET6:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    listener.bind((address, port))
    listener.listen(_BACKLOG)
