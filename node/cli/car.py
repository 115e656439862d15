"""`pinfold car import|export`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from node.cli.beside import beside
from node.cli.context import Failure, Session, emit, json_option, say, session, write_out
from node.cli.multipart import CONTENT_TYPE, file_part, last_part
from node.cli.pin import asks_for_end, pin_options, pin_query
from node.cli.pin_text import holders, tell_changes
from node.cli.progress import progress_bar
from node.client import Answer

_PIECE = 1 << 20


@click.group("car")
def command() -> None:
    """Content-addressed archives: DAGs in one file."""


@command.command("import")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False)
)
@click.option("--pin/--no-pin", default=True, help="Pin the roots (default) or only store the blocks.")
@pin_options
@json_option
@session
def import_(
    context: Session, /, files: tuple[Path, ...], pin: bool, as_json: bool, **options: object
) -> None:
    """Store the blocks of CAR files (v1 or v2), each checked against its CID; a bad file stores nothing.

    All files are read before the first root is pinned, so that one DAG may come in several. A root that is
    not whole then is not pinned.
    """
    query = [*pin_query(options), ("no-pin", str(not pin).lower())]
    failed = 0
    for line in context.api().upload("/v1/cars", query, CONTENT_TYPE, _body(files)):
        failed += "error" in line.raw
        if as_json:
            emit(dict(line.raw))
        elif line.text("file"):
            _show_file(line)
        else:
            _show_root(line, asks_for_end(query))
    if failed:
        raise Failure(f"{failed} of the files and roots failed")


def _show_file(line: Answer) -> None:
    if "error" in line.raw:
        say(f"{line.text('file')}: {line.text('error')}; nothing of it is stored", err=True)
    elif not line.texts("roots"):
        say(f"{line.text('file')} has no roots: its {line.number('blocks')} blocks are stored", err=True)


def _show_root(line: Answer, end_asked: bool) -> None:
    root, pin = line.text("root"), line.answer("pin")
    if "error" in line.raw:
        say(f"{root}: {_why_not(line)}", err=True)
    elif pin.raw:
        tell_changes(pin, end_asked)
        elsewhere = f"{root} is to be pinned by {holders(pin)}; its blocks stay here until then"
        say(f"pinned {root}" if line.raw.get("pinned") else elsewhere)
    else:
        say(f"stored {root}" if line.raw.get("here") else f"{root} is a root whose block is nowhere here")


def _why_not(line: Answer) -> str:
    if line.answer("pin").raw:
        return f"its pin stands and is tried on, see `pinfold status`: {line.text('error')}"
    return f"not pinned: {line.text('error')}"


def _body(files: Iterable[Path]) -> Iterator[bytes]:
    for file in files:
        with file.open("rb") as source, progress_bar(file.name, file.stat().st_size) as advance:
            yield file_part(str(file), "application/vnd.ipld.car")
            while piece := source.read(_PIECE):
                advance(len(piece))
                yield piece
    yield last_part()


@command.command("export")
@click.argument("cid")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="File to write (default: standard output)."
)
@session
def export(context: Session, cid: str, output: Path | None) -> None:
    """Write a whole DAG as CAR v1."""
    parts = context.rpc().download("POST", "/api/v0/dag/export", [("arg", cid)])
    if output is None:
        write_out(parts)
    else:
        _save(parts, output)
        say(f"saved {output}")


def _save(parts: Iterator[bytes], output: Path) -> None:
    """All of it or no file."""
    with beside(output) as fresh:
        with fresh.open("xb") as file:
            for part in parts:
                file.write(part)
        os.replace(fresh, output)
