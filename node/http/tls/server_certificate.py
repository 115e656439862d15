"""A certificate and its key in two files, read again when they change; open connections keep theirs."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import os
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from blockstore.common.tasks import background
from node.http.tls.errors import BadTlsFiles

LOOK_SECONDS = 5.0
"""Between looks whether the files have changed."""

_SOON = dt.timedelta(days=7)

_log = logging.getLogger(__name__)
_Marks = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Paths of a PEM file with the certificate, then those between it and its authority, and of its key."""

    certificate: Path
    key: Path


class ServerCertificate:
    """`context` is for handshakes that begin now. Raises BadTlsFiles when it is made."""

    def __init__(
        self, files: TlsFiles, now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC)
    ) -> None:
        self._files = files
        self._now = now
        self._marks = self._seen()
        self.context = self._read()

    def look(self) -> None:
        """Take what the files hold now, if they have changed and fit; else go on with what was good."""
        try:
            marks = self._seen()
            if marks == self._marks:
                return
            self._marks = marks
            self.context = self._read()
        except BadTlsFiles as error:
            self._complain(error)
        else:
            _log.info("the certificate in %s was read again", self._files.certificate)

    async def keep_looking(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await asyncio.to_thread(self.look)

    def _read(self) -> ssl.SSLContext:
        context = server_context(self._files)
        self._warn_of_end()
        return context

    def _seen(self) -> _Marks:
        return tuple(_mark(path) for path in (self._files.certificate, self._files.key))

    def _warn_of_end(self) -> None:
        end = _certificate(self._files.certificate).not_valid_after_utc
        if end - self._now() < _SOON:
            _log.warning("the certificate in %s ends on %s: renew it", self._files.certificate, end)

    def _complain(self, error: BadTlsFiles) -> None:
        _log.error("%s; the certificate of before is used on", error)


@asynccontextmanager
async def open_certificate(files: TlsFiles) -> AsyncIterator[ServerCertificate]:
    """Looked after for the length of the block. Raises BadTlsFiles."""
    certificate = await asyncio.to_thread(ServerCertificate, files)
    async with background(certificate.keep_looking()):
        yield certificate


def server_context(files: TlsFiles) -> ssl.SSLContext:
    """TLS 1.2 and 1.3. Raises BadTlsFiles."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    _certificate(files.certificate)
    try:
        context.load_cert_chain(files.certificate, files.key, password=lambda: _encrypted(files.key))
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise BadTlsFiles(
                f"{files.key} is not the key of the certificate in {files.certificate}"
            ) from None
        raise BadTlsFiles(f"{files.key} does not hold a private key in PEM's form ({error.reason})") from None
    except OSError as error:
        raise BadTlsFiles(f"{files.key} cannot be read: {error.strerror}") from None
    return context


def _certificate(path: Path) -> x509.Certificate:
    """The first one in the file."""
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except OSError as error:
        raise BadTlsFiles(f"{path} cannot be read: {error.strerror}") from None
    except ValueError:
        raise BadTlsFiles(f"{path} does not hold a certificate in PEM's form") from None


def _encrypted(key: Path) -> str:
    raise BadTlsFiles(f"{key} is encrypted, and nobody is there to ask: store it without a passphrase")


def _mark(path: Path) -> tuple[int, int, int]:
    """What changes with a file, links followed: certbot and Kubernetes change where links lead."""
    try:
        found = os.stat(path)
    except OSError as error:
        raise BadTlsFiles(f"{path} cannot be read: {error.strerror}") from None
    return found.st_ino, found.st_size, found.st_mtime_ns
