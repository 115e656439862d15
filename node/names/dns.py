"""What DNSLink asks of the DNS, and which server is asked."""

from __future__ import annotations

import asyncio
import ipaddress
from dataclasses import dataclass
from typing import Protocol

from node.config import BadConfig
from node.names.errors import DnsFailure

_PORT = 53


@dataclass(frozen=True, slots=True)
class Texts:
    """TXT records of a name, and the seconds they may be kept. None of a name that is not there."""

    texts: tuple[str, ...]
    ttl: float


class TextLookup(Protocol):
    async def __call__(self, name: str) -> Texts:
        """TXT records of that fully qualified name. Raises DnsFailure."""
        ...


@dataclass(frozen=True, slots=True)
class Server:
    """Address and port of a DNS server."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Server:
        """From "127.0.0.1:5353", "[::1]:53", "::1", "9.9.9.9". Raises BadConfig."""
        host, colon, port = text.rpartition(":")
        if not colon or (":" in host and not host.endswith("]")):
            host, port = text, str(_PORT)
        host = host.removeprefix("[").removesuffix("]")
        try:
            ipaddress.ip_address(host)
            if not 0 < int(port) < 65536:
                raise ValueError
        except ValueError:
            raise BadConfig(
                f'setting "names.resolver" takes an IP address, with a port or without, not {text!r}'
            ) from None
        return cls(host, int(port))


class NoLookups:
    """The DNS of a node that was told to ask nobody."""

    async def __call__(self, name: str) -> Texts:
        raise DnsFailure(f"{name} is not looked up: this node runs offline and has no names.resolver set")


class Lookups:
    """Real look-ups; `server` None is the system's. The library comes with the first one."""

    def __init__(self, server: Server | None, timeout: float) -> None:
        self._server = server
        self._timeout = timeout
        self._resolver: TextLookup | None = None

    async def __call__(self, name: str) -> Texts:
        if self._resolver is None:
            self._resolver = await asyncio.to_thread(self._load)
        return await self._resolver(name)

    def _load(self) -> TextLookup:
        # Late: dnspython loads all it finds (QUIC, trio): 0.2 s and 9 MB that many nodes never need.
        from node.names.resolver import Resolver

        return Resolver(self._server, self._timeout)
