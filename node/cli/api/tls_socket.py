"""TLS over a blocking socket that one thread sends on while another reads, which `ssl.SSLSocket` may not."""

from __future__ import annotations

import socket
import ssl
import threading
from pathlib import Path

_PIECE = 64 * 1024  # bytes of what is sent that are encrypted at once
_RECEIVED = 256 * 1024


class TlsSocket:
    """The client's end. Raises OSError, as errors of TLS are; `ssl.SSLCertVerificationError` is one."""

    def __init__(self, raw: socket.socket, context: ssl.SSLContext, host: str) -> None:
        """Returns when the other end has proved who it is."""
        self._raw = raw
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._lock = threading.Lock()  # both directions are one object
        self._sending = threading.Lock()  # records go out in the order in which they were made
        self._greet()

    def sendall(self, data: bytes) -> None:
        for start in range(0, len(data), _PIECE):
            with self._sending:
                with self._lock:
                    self._tls.write(data[start : start + _PIECE])
                    records = self._outgoing.read()
                self._raw.sendall(records)

    def recv(self, size: int) -> bytes:
        """What has come, `size` bytes at most; nothing at the end."""
        while True:
            try:
                with self._lock:
                    return self._tls.read(size)
            except ssl.SSLWantReadError:
                self._flush()
                self._receive()
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b""

    def shutdown(self, how: int) -> None:
        self._raw.shutdown(how)

    def close(self) -> None:
        self._raw.close()

    def _greet(self) -> None:
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._flush()
                self._receive()
            else:
                self._flush()
                return

    def _flush(self) -> None:
        """What reading gave rise to. Never waits for the other thread, which sends it along with its own.

        Each end may wait for the other to read: who reads must not wait for who sends.
        """
        if not self._outgoing.pending or not self._sending.acquire(blocking=False):
            return
        try:
            with self._lock:
                records = self._outgoing.read()
            self._raw.sendall(records)
        finally:
            self._sending.release()

    def _receive(self) -> None:
        data = self._raw.recv(_RECEIVED)
        with self._lock:
            if data:
                self._incoming.write(data)
            else:
                self._incoming.write_eof()


def trusting(certificate: Path) -> ssl.SSLContext:
    """Takes the node's own certificate, by whatever name it is called, and one that its file's others signed.

    Raises OSError.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(certificate)
    return context
