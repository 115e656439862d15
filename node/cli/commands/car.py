"""`pinfold car import|export`."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator

import click

from node.cli.api.response import ApiResponse
from node.cli.errors import Failure
from node.cli.input.byte_stream import STDIN, PipedContent
from node.cli.input.inputs import Inputs, content
from node.cli.input.multipart import CONTENT_TYPE, file_part, last_part
from node.cli.input.pin_options import asks_for_end, pin_options, pin_query
from node.cli.input.upload import check_readable
from node.cli.output.destination import check_free, force_option, output_file, output_path, saved
from node.cli.output.pin_text import holders, report_changes
from node.cli.output.printing import emit, say, shortened, write_out
from node.cli.output.progress import progress_bar
from node.cli.session import CommandSession, json_option, session


@click.group("car")
def command() -> None:
    """Content-addressed archives: DAGs in one file."""


@command.command("import")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--pin/--no-pin", default=True, help="Pin the roots (default) or only store the blocks.")
@pin_options
@json_option
@session
def import_(
    context: CommandSession, /, files: tuple[str, ...], pin: bool, as_json: bool, **options: object
) -> None:
    """Store the blocks of CAR files (v1 or v2), each checked against its CID; a bad file stores nothing.

    All files are read before the first root is pinned, so that one DAG may come in several. A root that is
    not whole then is not pinned. The FILE "-" is standard input.
    """
    query = [*pin_query(options), ("no-pin", str(not pin).lower())]
    inputs = Inputs("read", len(files))
    readable = list(_readable(files, inputs))
    failed = 0
    for line in context.api().upload("/v1/cars", query, CONTENT_TYPE, _body(readable)) if readable else ():
        failed += "error" in line.raw
        if as_json:
            emit(dict(line.raw))
        elif line.text("file"):
            _show_file(line)
        else:
            _show_root(line, asks_for_end(query))
    if failed:
        raise Failure(f"{failed + inputs.failures} of the files and roots failed")
    inputs.finish()


def _readable(files: Iterable[str], inputs: Inputs) -> Iterator[str]:
    """What cannot be read is reported; where it is the only file, its error is raised."""
    for file in files:
        with inputs.one(file):
            if file != STDIN:
                if stat.S_ISDIR(os.stat(file).st_mode):
                    raise Failure(f"{file} is a folder: name the CAR files in it")
                check_readable(file)
            yield file


def _show_file(line: ApiResponse) -> None:
    if "error" in line.raw:
        say(f"{line.text('file')}: {shortened(line.text('error'))}; nothing of it is stored", err=True)
    elif not line.texts("roots"):
        say(f"{line.text('file')} has no roots: its {line.number('blocks')} blocks are stored", err=True)


def _show_root(line: ApiResponse, end_asked: bool) -> None:
    root, pin = line.text("root"), line.answer("pin")
    if "error" in line.raw:
        say(f"{root}: {_why_not(line)}", err=True)
    elif pin.raw:
        report_changes(pin, end_asked)
        elsewhere = f"{root} is to be pinned by {holders(pin)}; its blocks stay here until then"
        say(f"pinned {root}" if line.raw.get("pinned") else elsewhere)
    else:
        say(f"stored {root}" if line.raw.get("here") else f"{root} is a root whose block is nowhere here")


def _why_not(line: ApiResponse) -> str:
    if line.answer("pin").raw:
        return f"its pin stands and is tried on, see `pinfold status`: {shortened(line.text('error'))}"
    return f"not pinned: {shortened(line.text('error'))}"


def _body(files: Iterable[str]) -> Iterator[bytes]:
    for file in files:
        with progress_bar(file, _size(file)) as advance:
            yield file_part(file, "application/vnd.ipld.car")
            for piece in PipedContent(file).pieces():
                advance(len(piece))
                yield piece
    yield last_part()


def _size(file: str) -> int | None:
    """Bytes; None for what comes as a stream."""
    if file == STDIN:
        return None
    status = os.stat(file)
    return status.st_size if stat.S_ISREG(status.st_mode) else None


@command.command("export")
@click.argument("cid", metavar="CID|PATH")
@click.option("-o", "--output", metavar="FILE", help="File to write (default, and -: standard output).")
@force_option
@json_option
@session
def export(context: CommandSession, cid: str, output: str | None, force: bool, as_json: bool) -> None:
    """Write a whole DAG as CAR v1."""
    if as_json and output is None:
        raise click.UsageError("standard output gets the CAR: --json goes with -o FILE")
    target = output_path(output) if output is not None else None
    if target is not None:
        check_free(target, force)
    parts = context.rpc().download("POST", "/api/v0/dag/export", [("arg", content(cid))])
    if target is None:
        write_out(parts)
        return
    with output_file(target) as file:
        for part in parts:
            file.write(part)
    saved(cid, target, as_json)
