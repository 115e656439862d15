"""`pinfold store`: what lies on this node's disk."""

from __future__ import annotations

import asyncio

import click

from node.cli.api.response import ApiResponse
from node.cli.errors import Failure
from node.cli.input.inputs import content
from node.cli.output.printing import emit, say
from node.cli.output.progress import human_bytes, progress_bar, told_progress
from node.cli.session import CommandSession, json_option, session


@click.group("store")
def command() -> None:
    """The blocks on this node's disk."""


@command.command("check")
@click.argument("cid", required=False, metavar="[CID]")
@click.option("--repair", is_flag=True, help="Fetch again what is bad, from members or the network.")
@json_option
@session
def check(context: CommandSession, cid: str | None, repair: bool, as_json: bool) -> None:
    """Read blocks from the disk and compare them with their hashes: those of one pin, or all.

    The exit code is 1 where something is bad and was not mended.
    """
    asked = [*([("cid", content(cid))] if cid else []), *([("repair", "true")] if repair else [])]
    last = ApiResponse({})
    with told_progress(hidden=as_json) as tell:
        for line in context.api().lines("POST", "/v1/store/check", asked):
            if as_json:
                emit(dict(line.raw))
            elif "checking" in line.raw:
                tell(_progress(line.answer("checking")))
            elif "checked" not in line.raw:
                say(_bad(line), err=True)
            last = line.answer("checked")
    if not as_json:
        say(_summary(last))
    if left := _bad_blocks(last) - last.number("mended"):
        raise Failure(f"{left} blocks are bad" + ("" if repair else "; --repair fetches them again"))


@command.command("rebuild")
@json_option
@session
def rebuild(context: CommandSession, as_json: bool) -> None:
    """Make the index of the blocks again, from the volumes and what can be read of the old index.

    For a `blocks.db` that was lost or is damaged; the daemon must be stopped. Everything is read and hashed.
    The old index is set aside.
    """
    from node.store_rebuild import rebuild_store, volume_bytes

    config, folder = context.config(), context.folder
    total = volume_bytes(config, folder)
    with progress_bar("reading volumes", total, hidden=as_json) as advance:
        found = asyncio.run(rebuild_store(config, folder, advance))
    if as_json:
        emit({"blocks": found.blocks, "bytes": found.bytes, "old": str(found.old or "")})
        return
    say(f"{found.blocks} blocks are in the index again, {human_bytes(found.bytes)}")
    if found.old:
        say(f"the old index is {found.old}: remove it when all is well")


def _bad_blocks(counts: ApiResponse) -> int:
    return sum(counts.number(what) for what in ("damaged", "unreadable", "missing"))


def _progress(counts: ApiResponse) -> str:
    done, total = human_bytes(counts.number("bytes")), human_bytes(counts.number("total"))
    so_far = f"{counts.number('blocks')} blocks are sound so far, {done} of at most {total}"
    return f"{so_far}; {_bad_blocks(counts)} are bad"


def _bad(line: ApiResponse) -> str:
    for what in ("damaged", "unreadable", "missing", "mended"):
        if what in line.raw:
            return f"{what} {line.text(what)}"
    return f"not mended {line.text('failed')}: {line.text('reason')}"


def _summary(counts: ApiResponse) -> str:
    said = [f"{counts.number('blocks')} blocks are sound, {human_bytes(counts.number('bytes'))}"]
    for what in ("damaged", "unreadable", "missing", "mended"):
        if number := counts.number(what):
            said.append(f"{number} {what}")
    return "; ".join(said)
