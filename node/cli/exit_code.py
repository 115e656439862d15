"""How a command ends: bugs are kept or shown, and every error becomes one line and an exit code."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from node.cli.errors import Unforeseen, first_failure, is_foreseen, text_of
from node.cli.output.printing import say, say_error
from node.datadir.folder import DataFolder
from node.files.atomic_write import atomic_write

FAILED, WRONG_CALL, NO_DAEMON, INTERRUPTED = 1, 2, 3, 130

_CODES = {
    "NoDaemon": NO_DAEMON,
    "BadImportOption": WRONG_CALL,
    "BadIgnorePattern": WRONG_CALL,
    "NotText": WRONG_CALL,
}


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
    return _failed(first_failure(error))


def _failed(error: BaseException) -> int:
    say_error(text_of(error if is_foreseen(error) else Unforeseen(error)))
    return _CODES.get(type(error).__name__, FAILED)


def _wrong_call(error: click.ClickException) -> int:
    if isinstance(error, click.UsageError) and error.ctx is not None:
        say(error.ctx.get_usage(), err=True)
        say(f"Try '{error.ctx.command_path} --help' for help.", err=True)
    say_error(error.format_message())
    return error.exit_code


@contextmanager
def bugs_kept(folder: DataFolder, debug: bool) -> Iterator[None]:
    """Bugs become Unforeseen, and their stacks go into the data folder; with `debug` every stack is shown."""
    try:
        yield
    except (click.exceptions.Exit, BrokenPipeError):
        raise
    except Exception as error:
        if debug:
            _say_stack(error)
        if is_foreseen(first_failure(error)):
            raise
        raise Unforeseen(error, _kept(error, folder)) from error


def _kept(error: Exception, folder: DataFolder) -> Path | None:
    if not folder.root.is_dir():
        return None
    try:
        atomic_write(folder.errors, "".join(traceback.format_exception(error)).encode(errors="replace"))
    except OSError:
        return None
    return folder.errors


def _say_stack(error: Exception) -> None:
    for line in "".join(traceback.format_exception(error)).splitlines():
        say(line, err=True)
