"""What every command is given: the data folder, the daemon's address, and how errors end it."""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import click

from blockstore.common.text_file import BadText, read_text
from node.cli.api_client import ApiClient, ApiError, ApiResponse, DaemonLost, NoDaemon, NotText
from node.cli.output.printing import NoOutput, emit, say, say_error, write_out
from node.config import config as settings
from node.datadir.api_secret import read_secret
from node.datadir.folder import DataFolder
from node.files.atomic_write import atomic_write
from node.http.listener_url import listener_url

__all__ = ["emit", "say", "write_out"]  # what every command prints with

Command = TypeVar("Command", bound=Callable[..., object])

FAILED, WRONG_CALL, NO_DAEMON, INTERRUPTED = 1, 2, 3, 130


class Failure(Exception):
    """A command that cannot do what it was asked; the text says what happened and what to do."""


@dataclass(frozen=True, slots=True)
class CommandSession:
    """One call of the command line, and what was said before the command."""

    path: str | None
    as_json: bool = False

    @property
    def folder(self) -> DataFolder:
        return DataFolder.choose(self.path)

    def config(self) -> settings.Config:
        return settings.load(self.folder.config)

    def api(self) -> ApiClient:
        """The cluster REST API of the running daemon. Raises NoDaemon when it is called."""
        return self._client("api")

    def rpc(self) -> ApiClient:
        """The RPC listener of the running daemon."""
        return self._client("rpc")

    def addresses(self) -> ApiResponse:
        """What the running daemon wrote about where it listens; empty when none runs."""
        try:
            found = json.loads(read_text(self.folder.addresses))
        except FileNotFoundError:
            return ApiResponse({})
        except ValueError as error:
            raise Failure(f"{self.folder.addresses} is damaged ({error}): remove it") from None
        return ApiResponse(found if isinstance(found, dict) else {})

    def _client(self, face: str) -> ApiClient:
        """The secret goes to where the daemon said that it listens, and to nobody who sits there instead."""
        if url := self.addresses().text(face):
            return ApiClient(url, self._secret())
        listener = getattr(self.config(), face)
        return ApiClient(listener_url(listener.host, listener.port))

    def _secret(self) -> str:
        """Empty where it cannot be read: another user's node."""
        try:
            return read_secret(self.folder.secret)
        except OSError:
            return ""


session = click.make_pass_decorator(CommandSession)


def _also_before(ctx: click.Context, _: click.Parameter, given: bool) -> bool:
    """`pinfold --json COMMAND` is `pinfold COMMAND --json`."""
    before = ctx.find_object(CommandSession)
    return given or (before is not None and before.as_json)


json_option = click.option(
    "--json", "as_json", is_flag=True, callback=_also_before, help="Print JSON, for scripts."
)
"""For every command that prints text. The last one on a command, so that help has it where it always is."""


def no_json(what: str) -> Callable[[Command], Command]:
    """In its place where a command prints something else, `what`: refused, not passed over."""

    def refuse(ctx: click.Context, option: click.Parameter, given: bool) -> None:
        if _also_before(ctx, option, given):
            raise click.UsageError(f"{ctx.command_path} prints {what}: it has no --json", ctx)

    return click.option("--json", is_flag=True, hidden=True, expose_value=False, callback=refuse)


def exit_code(error: BaseException) -> int:
    """Say on standard error, on one line, what happened; returns the exit code for it."""
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else FAILED
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, click.ClickException):
        return _wrong_call(error)
    if isinstance(error, KeyboardInterrupt | click.Abort):
        say("interrupted", err=True)
        return INTERRUPTED
    if isinstance(error, BrokenPipeError):
        return FAILED  # the reader of our output has gone, and knows it
    error = _first(error)
    say_error(text_of(error if foreseen(error) else Unforeseen(error)))
    return _CODES.get(type(error).__name__, FAILED)


_CODES = {
    "NoDaemon": NO_DAEMON,
    "BadImportOption": WRONG_CALL,
    "BadIgnorePattern": WRONG_CALL,
    "NotText": WRONG_CALL,
}


def _wrong_call(error: click.ClickException) -> int:
    if isinstance(error, click.UsageError) and error.ctx is not None:
        say(error.ctx.get_usage(), err=True)
        say(f"Try '{error.ctx.command_path} --help' for help.", err=True)
    say_error(error.format_message())
    return error.exit_code


def text_of(error: BaseException) -> str:
    """What it says, without the numbers that Python puts around the system's words."""
    if type(error).__module__ != "builtins" or not isinstance(error, OSError) or not error.strerror:
        return str(error)
    if not isinstance(error.filename, str | bytes):
        return error.strerror
    return f"{os.fsdecode(error.filename) or _NO_NAME}: {error.strerror}"


_NO_NAME = '""'


class Unforeseen(Exception):
    """A bug: one line that says what it was, and where its stack is or how to see it."""

    def __init__(self, error: BaseException, kept: Path | None = None) -> None:
        error = _first(error)
        stack = f"its stack is in {kept}" if kept else "`pinfold --debug` before the command shows its stack"
        super().__init__(f"unforeseen {type(error).__name__}: {error} (a bug: {stack}; please report it)")


@contextmanager
def errors_told(folder: DataFolder, debug: bool) -> Iterator[None]:
    """Bugs become Unforeseen, and their stacks go into the data folder; with `debug` every stack is shown."""
    try:
        yield
    except (click.exceptions.Exit, BrokenPipeError):
        raise
    except Exception as error:
        if debug:
            say_stack(error)
        if foreseen(_first(error)):
            raise
        raise Unforeseen(error, _kept(error, folder)) from error


def _first(error: BaseException) -> BaseException:
    """Of a group that tasks failed with, a bug if there is one among them: that is what is to be told."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    failures = [_first(one) for one in error.exceptions]
    return next((one for one in failures if not foreseen(one)), failures[0])


def _kept(error: Exception, folder: DataFolder) -> Path | None:
    if not folder.root.is_dir():
        return None
    try:
        atomic_write(folder.errors, "".join(traceback.format_exception(error)).encode(errors="replace"))
    except OSError:
        return None
    return folder.errors


def say_stack(error: Exception) -> None:
    for line in "".join(traceback.format_exception(error)).splitlines():
        say(line, err=True)


def foreseen(error: BaseException) -> bool:
    from blockstore.errors import BlockstoreError
    from cluster.errors import ClusterError
    from node.errors import NodeError

    expected = (
        Failure,
        Unforeseen,
        NoOutput,
        click.ClickException,
        click.Abort,
        NoDaemon,
        NotText,
        ApiError,
        DaemonLost,
        settings.BadConfig,
        NodeError,
        BlockstoreError,
        ClusterError,
        BadText,
        OSError,
    )
    return isinstance(error, expected)
