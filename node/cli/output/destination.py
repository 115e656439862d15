"""Where `-o` leads: a file that is not there yet, one that may be replaced, or something to write into."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import click

from node.cli.errors import Failure
from node.cli.output.printing import emit, say
from node.files.atomic_write import is_plain, replacing

force_option = click.option("--force", is_flag=True, help="Replace a file that exists.")


def output_path(text: str) -> Path:
    """`-` is standard output. Raises UsageError for none: it is not the working directory."""
    if not text:
        raise click.UsageError("-o takes a path; . is the working directory")
    return Path("/dev/stdout" if text == "-" else text)


def check_free(target: Path, force: bool) -> None:
    """Raises Failure for what is there and may not be replaced; symlinks are followed. Raises OSError."""
    if target.is_dir():
        raise Failure(f"{target} exists and is a folder: choose another place with -o")
    if is_plain(target) and target.exists() and not force:  # a symlink that leads to itself is an error
        raise Failure(f"{target} exists: choose another place with -o, or --force to replace it")


@contextmanager
def output_file(target: Path) -> Iterator[IO[bytes]]:
    """See `replacing`; a new file gets the permissions that the user's umask leaves."""
    mask = os.umask(0o077)
    os.umask(mask)
    with replacing(target, mode=0o666 & ~mask) as file:
        yield file


def saved(path: str, target: Path, as_json: bool) -> None:
    """Say where it is; nothing where that would come between the bytes."""
    if not target.is_dir() and not is_plain(target):
        return
    if as_json:
        emit({"path": path, "saved": str(target)})
    else:
        say(f"saved {target}")
