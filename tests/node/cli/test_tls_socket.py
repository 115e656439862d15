"""The command line's end of TLS: both directions at once, and another program's certificate is refused."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from support.certificates import certified

from node.cli.api.tls_socket import TlsSocket, trusting
from node.http.tls.server_certificate import TlsFiles, server_context

SIZE = 3_000_000


@contextmanager
def echoing(files: TlsFiles) -> Iterator[socket.socket]:
    """A connection to a server that sends back what comes, and closes when that ends."""
    here, there = socket.socketpair()

    def serve() -> None:
        with closing(there):
            try:
                inside = server_context(files).wrap_socket(there, server_side=True)
            except OSError:
                return
            with inside:
                left = SIZE
                while left and (data := inside.recv(65536)):
                    inside.sendall(data)
                    left -= len(data)

    server = threading.Thread(target=serve)
    server.start()
    with closing(here):
        yield here
    server.join()


def test_one_thread_sends_while_another_reads(tmp_path: Path) -> None:
    files, data = certified(tmp_path), bytes(range(250)) * (SIZE // 250)
    with echoing(files) as raw:
        inside = TlsSocket(raw, trusting(files.certificate), "127.0.0.1")
        sender = threading.Thread(target=inside.sendall, args=(data,))
        sender.start()
        found = b"".join(iter(lambda: inside.recv(100_000), b""))
        sender.join()
        raw.shutdown(socket.SHUT_RDWR)
    assert found == data


def test_the_certificate_of_another_program_is_refused(tmp_path: Path) -> None:
    own, other = certified(tmp_path), certified(tmp_path, "other")
    with echoing(other) as raw, pytest.raises(ssl.SSLCertVerificationError):
        TlsSocket(raw, trusting(own.certificate), "127.0.0.1")
