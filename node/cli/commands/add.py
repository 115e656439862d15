"""`pinfold add`: files and folders into the cluster, with Kubo's options and their implications."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

import click

from blockstore.unixfs.importing.entries import Entry
from blockstore.unixfs.importing.importer import DroppingSink, import_entries
from blockstore.unixfs.importing.option_text import from_query
from blockstore.unixfs.local.ignore import IgnoreRules
from blockstore.unixfs.local.walk import WalkRules
from node.cli.commands.pin import asks_for_end, pin_options, pin_query
from node.cli.input.byte_stream import STDIN, ByteStream
from node.cli.input.go_switches import Switch, SwitchCommand
from node.cli.input.inputs import Inputs
from node.cli.input.numbers import not_zero, permissions, whole_number
from node.cli.input.upload import CONTENT_TYPE, entries, total_size, unreadable, upload_body
from node.cli.output.pin_text import tell_changes
from node.cli.output.printing import emit, say
from node.cli.output.progress import progress_bar
from node.cli.session import CommandSession, json_option, session

PROFILE = "unixfs-v1-2025"
# Whoever names a CID version speaks Kubo: the CID is the one that `ipfs add` prints for the same options.
KUBO_PROFILE = "unixfs-v0-2015"

Command = TypeVar("Command", bound=click.Command)

# Kubo's switches and settings that decide the CID; sent by these names to whoever imports.
_IMPORT_SWITCHES = {
    "raw-leaves": "Leaves are raw blocks.",
    "trickle": "Trickle layout, for appending.",
    "inline": "Small blocks travel inside their CIDs.",
    "preserve-mode": "Keep permissions.",
    "preserve-mtime": "Keep modification times.",
    "empty-dirs": "Keep empty folders (default true).",
}
_IMPORT_SETTINGS = {
    "cid-version": "0 or 1.",
    "hash": "Hash function, such as blake3.",
    "chunker": "size-N, rabin-MIN-AVG-MAX or buzhash; N in bytes.",
    "inline-limit": "Bytes at most of an inlined block (default 32).",
    "max-file-links": "Links of a file's node at most.",
    "max-directory-links": "Links of a directory's node at most, before it is sharded.",
    "max-hamt-fanout": "Links of a sharded directory's node at most.",
    "mode": "Permissions for every entry, in octal: 600 and 0600 are the same.",
    "mtime": "Modification time for every entry, in seconds since 1970.",
    "mtime-nsecs": "Its nanoseconds.",
    "hamt-threshold": "Size in bytes above which a directory is sharded.",
}
_CHECKS = {
    "mode": permissions,
    "mtime": not_zero(whole_number("seconds"), "a time of 0 cannot be kept: UnixFS takes it for none"),
    "mtime-nsecs": whole_number("nanoseconds", least=0),
    "cid-version": whole_number(),
    "inline-limit": whole_number("bytes", least=0),
    "hamt-threshold": whole_number("bytes", least=0),
    "max-file-links": not_zero(whole_number(least=0), "a file's nodes need 2 links or more"),
    "max-directory-links": whole_number(least=0),
    "max-hamt-fanout": whole_number(least=0),
}
_SHORT = {"trickle": "-t", "chunker": "-s"}


def _import_options(command: Command) -> Command:
    """Before the last one, which is `--json`."""
    switches = [Switch(_names(name), help=text) for name, text in _IMPORT_SWITCHES.items()]
    values = [
        click.Option(_names(name), help=text, callback=_CHECKS.get(name))
        for name, text in _IMPORT_SETTINGS.items()
    ]
    command.params[-1:-1] = [*switches, *values]
    return command


def _names(name: str) -> list[str]:
    return [f"--{name}"] + ([_SHORT[name]] if name in _SHORT else [])


@dataclass(frozen=True, slots=True)
class UploadSource:
    """What is to be added."""

    paths: tuple[str, ...]
    rules: WalkRules
    stdin_name: str

    def entries(self) -> AsyncIterator[Entry]:
        return entries(self.paths, self.rules, self.stdin_name)

    def without_unreadable(self, inputs: Inputs) -> UploadSource:
        """Where there are several paths, those that can be read; the others are told of, one by one."""
        if len(self.paths) < 2:
            return self
        troubles = {path: unreadable(path, self.rules) for path in dict.fromkeys(self.paths)}
        for path, trouble in troubles.items():
            if trouble is not None:
                inputs.failed(path, trouble)
        return replace(self, paths=tuple(path for path, trouble in troubles.items() if trouble is None))

    def total(self) -> int | None:
        return total_size(self.paths, self.rules)


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
    query = _import_query(given)
    from_query(dict(query), PROFILE)  # contradictions are told before anything is read or sent
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


_import_options(command)


def _walk_rules(given: dict[str, object]) -> WalkRules:
    """What is named on the command line decides before what stands in the file."""
    patterns = given["ignore"] if isinstance(given["ignore"], tuple) else ()
    file = str(given["ignore_rules_path"] or "")
    rules = IgnoreRules.of_bytes(b"".join(ByteStream(file).pieces()), file) if file else IgnoreRules()
    return WalkRules(
        recursive=bool(given["recursive"]),
        hidden=bool(given["hidden"]),
        dereference=bool(given["dereference_symlinks"]),
        ignore=rules + IgnoreRules.of_patterns(patterns),
        patterns=patterns,
        folder_files=bool(given["ignore_files"]),
    )


def _import_query(given: dict[str, object]) -> list[tuple[str, str]]:
    names = [*_IMPORT_SWITCHES, *_IMPORT_SETTINGS, "wrap-with-directory"]
    values = ((name, given[name.replace("-", "_")]) for name in names)
    profile = given["profile"] or (PROFILE if given["cid_version"] is None else KUBO_PROFILE)
    return [("profile", str(profile)), *((name, _text(value)) for name, value in values if value is not None)]


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


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
    with progress_bar("add", source.total() if progress else None, hidden=not progress) as advance:
        body = upload_body(source.entries(), stamps=stamps, advance=advance)
        for line in context.api().upload("/add", query, CONTENT_TYPE, body):
            if (pin := line.answer("pin")).raw:
                tell_changes(pin, asks_for_end(query))
            if line.text("cid"):
                yield line.text("cid"), line.exact_name("name", "name_escaped"), line.number("size")
