"""Who may do what on a machine: by the secret in the data folder its owner may do everything."""

from __future__ import annotations

import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.command import daemon, log, pinfold

CLOSED = {"PINFOLD_API_AUTH": "always", "PINFOLD_RPC_AUTH": "always"}


class Stranger:
    """Another program of this machine, which answers whoever connects and keeps what it heard."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.heard: list[str] = []
        self._thread = threading.Thread(target=self._answer)
        self._thread.start()

    def close(self) -> None:
        self._thread.join()
        self._listener.close()

    def _answer(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            with connection.makefile("rb") as request:
                self.heard += iter(lambda: request.readline().decode().strip(), "")
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1")


@pytest.fixture
def stranger() -> Iterator[Stranger]:
    listening = Stranger()
    yield listening
    listening.close()


def test_commands_show_the_secret_by_themselves(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("behind a closed door\n")
    with daemon(
        tmp_path / "node", "--offline", **CLOSED, PINFOLD_CLUSTER_ANNOUNCE="/ip4/1.2.3.4/tcp/9"
    ) as node:
        cid = node.run("add", "-Q", str(tmp_path / "file"))
        assert node.run("cat", cid) == "behind a closed door"
        assert node.run("cluster", "invite").startswith("pinfold1")
        secret = node.folder / "api.secret"
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600
        shown = secret.read_text()
        for text in ("", "x" * 43):
            secret.write_text(text) if text else secret.unlink()
            said = pinfold("cluster", "invite", path=node.folder)
            said.complains("credential", "api.secret")
        assert shown.strip() not in log(node)


def test_the_secret_is_shown_to_nobody_who_sits_where_the_daemon_was(
    tmp_path: Path, stranger: Stranger
) -> None:
    pinfold("init", path=tmp_path / "node")
    pinfold("id", path=tmp_path / "node", PINFOLD_API_PORT=str(stranger.port)).complains("no pinfold node")
    assert stranger.heard
    assert "authorization" not in str(stranger.heard).lower()
