"""What ends a command: which errors are foreseen, and what they say on one line."""

from __future__ import annotations

import os
from pathlib import Path


class Failure(Exception):
    """A command that cannot do what it was asked; the text says what happened and what to do."""


class NoOutput(Exception):
    """Standard output is closed, and bytes were to go there."""

    def __init__(self) -> None:
        super().__init__("standard output is closed: nothing can be written to it")


class Unforeseen(Exception):
    """A bug: one line that says what it was, and where its stack is or how to see it."""

    def __init__(self, error: BaseException, kept: Path | None = None) -> None:
        error = first_failure(error)
        stack = f"its stack is in {kept}" if kept else "`pinfold --debug` before the command shows its stack"
        super().__init__(f"unforeseen {type(error).__name__}: {error} (a bug: {stack}; please report it)")


_NO_NAME = '""'


def text_of(error: BaseException) -> str:
    """What it says, without the numbers that Python puts around the system's words."""
    if type(error).__module__ != "builtins" or not isinstance(error, OSError) or not error.strerror:
        return str(error)
    if not isinstance(error.filename, str | bytes):
        return error.strerror
    return f"{os.fsdecode(error.filename) or _NO_NAME}: {error.strerror}"


def first_failure(error: BaseException) -> BaseException:
    """Of a group that tasks failed with, a bug if there is one among them: the one to report."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    failures = [first_failure(one) for one in error.exceptions]
    return next((one for one in failures if not is_foreseen(one)), failures[0])


def is_foreseen(error: BaseException) -> bool:
    """False for a bug. The packages' errors are imported here, late: most commands end without any."""
    import click

    from blockstore.common.text_file import BadText
    from blockstore.errors import BlockstoreError
    from cluster.errors import ClusterError
    from node.cli.api.errors import ApiError, DaemonLost, NoDaemon, NotText, StrangeCertificate
    from node.config.errors import BadConfig
    from node.errors import NodeError

    ours = (Failure, Unforeseen, NoOutput, BadConfig, NodeError, BlockstoreError, ClusterError, BadText)
    client = (NoDaemon, NotText, ApiError, DaemonLost, StrangeCertificate)
    return isinstance(error, (*ours, *client, click.ClickException, click.Abort, OSError))
