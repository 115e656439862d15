"""`pinfold add`: files and folders into the cluster, with Kubo's options and their implications."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import click

from blockstore.unixfs.importing.importer import DroppingSink, import_entries
from blockstore.unixfs.importing.option_text import from_query
from blockstore.unixfs.local.ignore import IgnoreRules
from blockstore.unixfs.local.walk import WalkRules
from node.cli.input.byte_stream import STDIN, PipedContent
from node.cli.input.go_switches import Switch, SwitchCommand
from node.cli.input.handover import handing_over
from node.cli.input.import_options import KUBO_PROFILE, PROFILE, import_options, import_query
from node.cli.input.inputs import Inputs
from node.cli.input.pin_options import asks_for_end, pin_options, pin_query
from node.cli.input.upload import CONTENT_TYPE, upload_body
from node.cli.input.upload_progress import UploadProgress
from node.cli.input.upload_source import UploadSource
from node.cli.output.pin_text import report_changes
from node.cli.output.printing import emit, say
from node.cli.output.progress import is_watched, progress_bar
from node.cli.session import CommandSession, json_option, session


@dataclass(frozen=True, slots=True)
class Output:
    """How much is printed."""

    quiet: bool
    quieter: bool
    as_json: bool

    def show(self, lines: Iterable[tuple[str, str, int]]) -> None:
        """Each line is CID, name and size."""
        last = None
        for last in lines:
            if not self.quieter:
                self._show(*last)
        if self.quieter and last is not None:
            self._show(*last)

    def _show(self, cid: str, name: str, size: int) -> None:
        if self.as_json:
            emit({"cid": cid, "name": name, "size": size})
        else:
            say(cid if self.quiet or self.quieter else f"added {cid} {name}")


@click.command("add", cls=SwitchCommand)
@click.argument("paths", nargs=-1, metavar="PATH...")
@click.option("--recursive", "-r", cls=Switch, default=False, help="Add folders with all that is in them.")
@click.option("--wrap-with-directory", "-w", cls=Switch, default=False, help="Put it all under one folder.")
@click.option("--hidden", "-H", cls=Switch, default=False, help="Take names that begin with a dot too.")
@click.option("--dereference-symlinks", cls=Switch, default=False, help="Follow symlinks, do not keep them.")
@click.option(
    "--ignore",
    multiple=True,
    metavar="PATTERN",
    help="Leave out what matches, as a line of a .gitignore in each folder would; repeatable.",
)
@click.option("--ignore-rules-path", metavar="FILE", help="Leave out what the patterns in this file match.")
@click.option(
    "--ignore-files", cls=Switch, default=True, help="Heed .ipfsignore files in folders (default true)."
)
@click.option("--only-hash", "-n", cls=Switch, default=False, help="Only print CIDs; needs no daemon.")
@click.option("--quiet", "-q", cls=Switch, default=False, help="Print CIDs alone.")
@click.option("--quieter", "-Q", cls=Switch, default=False, help="Print the root's CID alone.")
@click.option("--progress", "-p", cls=Switch, default=True, help="Show a bar (default: on a terminal).")
@click.option("--stdin-name", default="", help="What standard input is to be called (default: its CID).")
@click.option("--pin", cls=Switch, default=True, help="Pin what was added (default true).")
@click.option("--pin-name", help="The same as --name.")
@click.option("--profile", help=f"Import profile (default {PROFILE}; {KUBO_PROFILE} with --cid-version).")
@pin_options
@json_option
@session
def command(context: CommandSession, /, paths: tuple[str, ...], **given: object) -> None:
    """Add files or folders; answers when they are stored and the pin is durable.

    Without a PATH, or for the PATH "-", standard input is added.
    """
    source = UploadSource(_or_stdin(paths), _walk_rules(given), str(given["stdin_name"]))
    output = Output(bool(given["quiet"]), bool(given["quieter"]), bool(given["as_json"]))
    query = import_query(given)
    from_query(dict(query), PROFILE)  # contradictions are reported before anything is read or sent
    if not given["only_hash"]:
        name = given["name"] if given["pin_name"] is None else given["pin_name"]
        query += pin_query({**given, "mode": None, "name": name})
        query.append(("no-pin", str(not given["pin"]).lower()))
    inputs = Inputs("added", len(source.paths))
    source = source if given["wrap_with_directory"] else source.without_unreadable(inputs)
    if source.paths:
        progress = bool(given["progress"])
        added = (
            _hash_only(source, query, progress)
            if given["only_hash"]
            else _upload(context, source, query, progress)
        )
        output.show(added)
    inputs.finish()


import_options(command)


def _walk_rules(given: dict[str, object]) -> WalkRules:
    """What is named on the command line decides before what stands in the file."""
    patterns = given["ignore"] if isinstance(given["ignore"], tuple) else ()
    file = str(given["ignore_rules_path"] or "")
    rules = IgnoreRules.of_bytes(b"".join(PipedContent(file).pieces()), file) if file else IgnoreRules()
    return WalkRules(
        recursive=bool(given["recursive"]),
        hidden=bool(given["hidden"]),
        dereference=bool(given["dereference_symlinks"]),
        ignore=rules + IgnoreRules.of_patterns(patterns),
        patterns=patterns,
        folder_files=bool(given["ignore_files"]),
    )


def _or_stdin(paths: tuple[str, ...]) -> tuple[str, ...]:
    """As Kubo has it: nothing named and something piped in means that. Raises UsageError."""
    if not paths and sys.stdin is not None and sys.stdin.isatty():
        raise click.UsageError("name a file or folder to add, or pipe something in")
    return paths or (STDIN,)


def _hash_only(
    source: UploadSource, query: list[tuple[str, str]], progress: bool
) -> list[tuple[str, str, int]]:
    async def run(advance: Callable[[int], None]) -> list[tuple[str, str, int]]:
        done: dict[str, int] = {}

        def report(name: str, size: int) -> None:
            advance(size - done.get(name, 0))
            done[name] = size

        added = import_entries(source.entries(), DroppingSink(), from_query(dict(query), PROFILE), report)
        return [(str(item.cid), item.name, item.size) async for item in added]

    with progress_bar("hash", source.total() if progress else None, hidden=not progress) as advance:
        return asyncio.run(run(advance))


def _upload(
    context: CommandSession, source: UploadSource, query: list[tuple[str, str]], progress: bool
) -> Iterator[tuple[str, str, int]]:
    stamps = any(name.startswith("preserve-") and value == "true" for name, value in query)
    total = source.total()
    with (
        progress_bar("add", total, hidden=not progress) as advance,
        handing_over(context.folder.handed_files) as handover,
    ):
        so_far = UploadProgress(advance)
        body = upload_body(source.entries(), stamps=stamps, progress=so_far, handover=handover)
        if progress and is_watched():
            query = [*query, ("progress", "true")]
        for line in context.api().upload("/add", query, CONTENT_TYPE, body, total):
            name = line.exact_name("name", "name_escaped")
            if (pin := line.answer("pin")).raw:
                report_changes(pin, asks_for_end(query))
            if line.text("cid"):
                so_far.added(name)
                yield line.text("cid"), name, line.number("size")
            else:
                so_far.read(name, line.number("bytes"))
