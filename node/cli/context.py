"""What every command is given: the data folder, the daemon's address, and how errors end it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass

import click

from node import config as settings
from node.client import Answer, ApiError, Client, ConnectionLost, NoDaemon
from node.folder import Folder

FAILED, WRONG_CALL, NO_DAEMON, INTERRUPTED = 1, 2, 3, 130


class Failure(Exception):
    """A command that cannot do what it was asked; the text says what happened and what to do."""


@dataclass(frozen=True, slots=True)
class Session:
    """One call of the command line."""

    path: str | None

    @property
    def folder(self) -> Folder:
        return Folder.choose(self.path)

    def config(self) -> settings.Config:
        return settings.load(self.folder.config)

    def api(self) -> Client:
        """The cluster REST API of the running daemon. Raises NoDaemon when it is called."""
        return Client(self._url("api"))

    def rpc(self) -> Client:
        """The RPC listener of the running daemon."""
        return Client(self._url("rpc"))

    def addresses(self) -> Answer:
        """What the running daemon wrote about where it listens; empty when none runs."""
        try:
            return Answer(json.loads(self.folder.addresses.read_text()))
        except FileNotFoundError:
            return Answer({})

    def _url(self, face: str) -> str:
        if url := self.addresses().text(face):
            return url
        listener = getattr(self.config(), face)
        return f"http://{listener.host}:{listener.port}"


session = click.make_pass_decorator(Session)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")


def exit_code(error: BaseException) -> int:
    """Say what happened on stderr, and the exit code for it. A bug shows its traceback."""
    from blockstore.errors import BadImportOption

    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else FAILED
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, KeyboardInterrupt | click.Abort):
        return _say("interrupted", INTERRUPTED)
    if isinstance(error, BrokenPipeError):
        # The reader of our output has gone; keep Python from complaining about it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    if isinstance(error, NoDaemon):
        return _say(str(error), NO_DAEMON)
    if isinstance(error, BadImportOption):
        return _say(str(error), WRONG_CALL)
    if isinstance(error, _expected()):
        return _say(_text(error), FAILED)
    raise error


def _text(error: BaseException) -> str:
    """What it says, without the numbers that Python puts around the system's words."""
    if type(error).__module__ == "builtins" and isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)


def _expected() -> tuple[type[BaseException], ...]:
    from blockstore.errors import BlockstoreError
    from cluster.errors import ClusterError
    from node.errors import NodeError

    return (
        Failure,
        ApiError,
        ConnectionLost,
        settings.BadConfig,
        NodeError,
        BlockstoreError,
        ClusterError,
        OSError,
    )


def _say(message: str, code: int) -> int:
    print(f"Error: {message}" if code != INTERRUPTED else message, file=sys.stderr)
    return code


def write_out(parts: Iterable[bytes]) -> None:
    """Bytes to standard output as they come."""
    out = sys.stdout.buffer
    for part in parts:
        out.write(part)
    out.flush()


def emit(value: object) -> None:
    """One JSON value on one line."""
    click.echo(json.dumps(value, ensure_ascii=False))
