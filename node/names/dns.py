"""What DNSLink asks of the DNS, and which server is asked."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Protocol

from node.config.errors import BadConfig

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
class DnsServer:
    """Address and port of a DNS server."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> DnsServer:
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
