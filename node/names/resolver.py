"""TXT records by dnspython: over UDP, and over TCP where an answer does not fit."""

from __future__ import annotations

import dns.asyncresolver
import dns.exception
import dns.resolver
from dns.rdtypes.ANY.TXT import TXT

from node.names.dns import DnsServer, Texts
from node.names.errors import DnsFailure

_MAX_TEXTS = 64  # of one name; a DNSLink has one


class Resolver:
    """Satisfies TextLookup."""

    def __init__(self, server: DnsServer | None, timeout: float) -> None:
        """`server` None: as the system is configured. Raises DnsFailure where it is not."""
        try:
            self._resolver = dns.asyncresolver.Resolver(configure=server is None)
        except dns.resolver.NoResolverConfiguration as error:
            raise DnsFailure(
                f"this machine has no DNS server configured ({error}); set names.resolver"
            ) from None
        if server is not None:
            self._resolver.nameservers = [server.host]
            self._resolver.port = server.port
        self._timeout = timeout

    async def __call__(self, name: str) -> Texts:
        """Raises DnsFailure."""
        try:
            answer = await self._resolver.resolve(
                f"{name}.", "TXT", search=False, lifetime=self._timeout, raise_on_no_answer=False
            )
        except dns.resolver.NXDOMAIN:
            return Texts((), 0)
        except (dns.exception.DNSException, OSError) as error:
            raise DnsFailure(f"cannot look up the TXT records of {name}: {_plain(error)}") from None
        return Texts(_texts(answer), float(answer.chaining_result.minimum_ttl))


def _texts(answer: dns.resolver.Answer) -> tuple[str, ...]:
    if answer.rrset is None:
        return ()
    found = [record for record in answer.rrset if isinstance(record, TXT)][:_MAX_TEXTS]
    return tuple(b"".join(record.strings).decode(errors="replace") for record in found)


def _plain(error: Exception) -> str:
    if isinstance(error, dns.exception.Timeout):
        return "the resolver did not answer in time"
    return " ".join(str(error).split()) or type(error).__name__
