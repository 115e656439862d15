"""What commands print: lines for people, in which nothing is invisible, and JSON for programs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

import click

from node.cli.errors import NoOutput
from node.unicode_safety import spelled

MAX_ERROR = 600  # characters of an error message; whole ones are at the node


def say(text: str, *, err: bool = False) -> None:
    """One line. Characters that others chose cannot make it two, nor hide or reorder what is around them."""
    with _output_named("standard error" if err else "standard output"):
        click.echo(spelled(text).rstrip(), err=err)


def say_lines(lines: Iterable[str]) -> None:
    """Lines that belong together, written at once."""
    with _output_named("standard output"):
        click.echo("\n".join(spelled(line).rstrip() for line in lines))


def shortened(text: str) -> str:
    """A message on one line, bounded."""
    line = " ".join(text.split())
    more = len(line) - MAX_ERROR
    return f"{line[:MAX_ERROR]}… ({more} more characters)" if more > 0 else line


def say_error(text: str) -> None:
    """One line on standard error, bounded."""
    with suppress(OSError):  # the terminal was closed
        say(f"Error: {shortened(text)}", err=True)


def emit(value: object) -> None:
    """One JSON value on one line; what would be invisible is written with JSON's own escapes."""
    text = spelled(json.dumps(value, ensure_ascii=False), lambda code: json.dumps(chr(code))[1:-1])
    with _output_named("standard output"):
        click.echo(text)


def write_out(parts: Iterable[bytes]) -> None:
    """Bytes to standard output as they come. Raises NoOutput."""
    if sys.stdout is None:
        raise NoOutput
    out = sys.stdout.buffer
    for part in parts:
        with _output_named("standard output"):
            out.write(part)
    with _output_named("standard output"):
        out.flush()


@contextmanager
def _output_named(name: str) -> Iterator[None]:
    """An error of writing says where to; that the reader has gone is left as it is."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        error.filename = name
        raise


def prepare_streams() -> None:
    """Make printing safe whatever this process was given as its standard streams.

    A closed descriptor would be given to the next file or connection that is opened; and text that the
    terminal's encoding does not have is written with escapes.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # opened the wrong way round, so that using it is an error and not silence
            os.open(os.devnull, os.O_RDONLY if number else os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def let_go_of_output() -> None:
    """Keep Python from complaining at its end about a standard output that takes nothing any more."""
    null = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            try:
                stream.flush()
            except OSError:
                os.dup2(null, stream.fileno())
    os.close(null)
