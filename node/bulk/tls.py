"""TLS of both ends, by the standard library: nothing but version 1.3, and both show a certificate."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import ssl
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from node.bulk.certificates import LIFETIME, Authority, peer_of
from node.datadir.identity import Identity

_LOOK = 3600.0  # seconds between looks whether the certificate is to be renewed
Now = Callable[[], dt.datetime]


def utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


class MemberTls:
    """The contexts of this node; their certificate is renewed while they are used."""

    def __init__(self, authority: Authority, identity: Identity, now: Now = utc_now) -> None:
        self._authority = authority
        self._identity = identity
        self._now = now
        trusted = authority.certificate().decode()
        self.server = _context(ssl.PROTOCOL_TLS_SERVER, trusted)
        self.client = _context(ssl.PROTOCOL_TLS_CLIENT, trusted)
        self._renewed = self._renew()

    async def keep_valid(self) -> None:
        """Renew the certificate in good time, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK)
            if abs(self._now() - self._renewed) > LIFETIME / 3:
                self._renewed = self._renew()

    def _renew(self) -> dt.datetime:
        now = self._now()
        with _as_file(self._authority.certify(self._identity, now)) as path:
            for context in (self.server, self.client):
                context.load_cert_chain(path)
        return now


def peer_behind(transport: asyncio.BaseTransport) -> str:
    """The peer at the other end of a TLS connection. Raises BadCertificate."""
    connection = transport.get_extra_info("ssl_object")
    return peer_of(connection.getpeercert(binary_form=True) if connection is not None else None)


def _context(protocol: int, trusted: str) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False  # a member is its key, wherever it is
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=trusted)
    if protocol == ssl.PROTOCOL_TLS_SERVER:
        context.num_tickets = 0  # a session that is resumed would outlive its certificate
    return context


@contextmanager
def _as_file(data: bytes) -> Iterator[str]:
    """A path that the library can read a key from, though it lies in no folder."""
    made = os.memfd_create("pinfold") if hasattr(os, "memfd_create") else None
    with tempfile.TemporaryFile() if made is None else os.fdopen(made, "w+b") as file:
        file.write(data)
        file.flush()
        file.seek(0)
        yield f"/dev/fd/{file.fileno()}"
