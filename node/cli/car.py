"""`pinfold car import|export`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import click

from node.cli.beside import beside
from node.cli.context import Failure, Session, emit, json_option, say, session, write_out
from node.cli.multipart import CONTENT_TYPE, file_part, last_part
from node.cli.progress import Advance, progress_bar

_PIECE = 1 << 20


@click.group("car")
def command() -> None:
    """Content-addressed archives: DAGs in one file."""


@command.command("import")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False)
)
@click.option("--pin/--no-pin", default=True, help="Pin the roots (default) or only store the blocks.")
@json_option
@session
def import_(context: Session, files: tuple[Path, ...], pin: bool, as_json: bool) -> None:
    """Store the blocks of CAR files (v1 or v2), each checked against its CID; a bad file stores nothing."""
    query = [("pin-roots", str(pin).lower()), ("stats", "true")]
    for file in files:
        with file.open("rb") as source, progress_bar(file.name, file.stat().st_size) as advance:
            body = _body(source, file.name, advance)
            lines = list(context.rpc().upload("/api/v0/dag/import", query, CONTENT_TYPE, body))
        for line in lines:
            if as_json:
                emit(dict(line.raw))
                continue
            root = line.answer("Root")
            _show_root(root.answer("Cid").text("/"), root.text("PinErrorMsg"), pin)


def _show_root(cid: str, error: str, pin: bool) -> None:
    if error:
        raise Failure(f"{cid} is stored but not pinned: {error}")
    if cid:
        say(f"{'pinned' if pin else 'stored'} {cid}")


def _body(source: BinaryIO, name: str, advance: Advance) -> Iterator[bytes]:
    yield file_part(name, "application/vnd.ipld.car")
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
