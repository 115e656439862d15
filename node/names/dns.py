"""TXT records by real look-ups: the system's resolver, or the one that the settings name."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Protocol

import dns.asyncresolver
import dns.exception
import dns.rdatatype
import dns.resolver
from dns.rdtypes.ANY.TXT import TXT

from node.config import BadConfig
from node.names.errors import DnsFailure

_MAX_TEXTS = 64  # of one name; a DNSLink has one
_PORT = 53


@dataclass(frozen=True, slots=True)
class Texts:
    """TXT records of a name, and the seconds they may be kept. None of a name that is not there."""

    texts: tuple[str, ...]
    ttl: float


class TextLookup(Protocol):
    """What DNSLink asks of the DNS."""

    async def __call__(self, name: str) -> Texts:
        """TXT records of that fully qualified name. Raises DnsFailure."""
        ...


class NoLookups:
    """The DNS of a node that was told to ask nobody."""

    async def __call__(self, name: str) -> Texts:
        raise DnsFailure(f"{name} is not looked up: this node runs offline and has no names.resolver set")


class Resolver:
    """Satisfies TextLookup with dnspython; over TCP where an answer does not fit UDP."""

    def __init__(self, address: str, timeout: float) -> None:
        """`address` as in "127.0.0.1:5353", "[::1]:53", "9.9.9.9"; empty = the system's. Raises BadConfig."""
        self._servers = parse_server(address) if address else None
        self._timeout = timeout
        self._resolver: dns.asyncresolver.Resolver | None = None

    async def __call__(self, name: str) -> Texts:
        try:
            answer = await self._ready().resolve(
                f"{name}.", "TXT", search=False, lifetime=self._timeout, raise_on_no_answer=False
            )
        except dns.resolver.NXDOMAIN:
            return Texts((), 0)
        except (dns.exception.DNSException, OSError) as error:
            raise DnsFailure(f"cannot look up the TXT records of {name}: {_plain(error)}") from None
        ttl = float(answer.chaining_result.minimum_ttl)
        return Texts(_texts(answer), ttl)

    def _ready(self) -> dns.asyncresolver.Resolver:
        """Made at the first look-up: a machine without a resolver can run a node."""
        if self._resolver is None:
            resolver = dns.asyncresolver.Resolver(configure=self._servers is None)
            if self._servers is not None:
                host, port = self._servers
                resolver.nameservers = [host]
                resolver.port = port
            self._resolver = resolver
        return self._resolver


def parse_server(text: str) -> tuple[str, int]:
    """Host and port. Raises BadConfig."""
    host, colon, port = text.rpartition(":")
    if not colon or (":" in host and not host.endswith("]")):
        host, port = text, str(_PORT)
    host = host.removeprefix("[").removesuffix("]")
    try:
        ipaddress.ip_address(host)
        number = int(port)
        if not 0 < number < 65536:
            raise ValueError
    except ValueError:
        raise BadConfig(
            f'setting "names.resolver" takes an IP address, with a port or without, not {text!r}'
        ) from None
    return host, number


def _texts(answer: dns.resolver.Answer) -> tuple[str, ...]:
    if answer.rrset is None:
        return ()
    found = [record for record in answer.rrset if isinstance(record, TXT)][:_MAX_TEXTS]
    return tuple(b"".join(record.strings).decode(errors="replace") for record in found)


def _plain(error: Exception) -> str:
    if isinstance(error, dns.exception.Timeout):
        return "the resolver did not answer in time"
    return " ".join(str(error).split()) or type(error).__name__
