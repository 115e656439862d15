"""`pinfold add`: files and folders into the cluster, with Kubo's options and their implications."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import click

from blockstore.unixfs.entries import Entry
from blockstore.unixfs.importer import DroppingSink, import_entries
from blockstore.unixfs.local import WalkRules
from blockstore.unixfs.query import from_query
from node.cli.context import Session, emit, json_option, session
from node.cli.pin import pin_options, pin_query
from node.cli.progress import progress_bar
from node.cli.switches import Switch, SwitchCommand
from node.cli.upload import CONTENT_TYPE, STDIN, entries, total_size, upload_body

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
    "chunker": "size-N, rabin-MIN-AVG-MAX or buzhash.",
    "inline-limit": "Bytes at most of an inlined block (default 32).",
    "max-file-links": "Links of a file's node at most.",
    "max-directory-links": "Links of a directory's node at most, before it is sharded.",
    "max-hamt-fanout": "Links of a sharded directory's node at most.",
    "mode": "Permissions for every entry, in octal.",
    "mtime": "Modification time for every entry, in seconds.",
    "mtime-nsecs": "Its nanoseconds.",
    "hamt-threshold": "Size in bytes above which a directory is sharded.",
}
_SHORT = {"trickle": "-t", "chunker": "-s"}


def _import_options(command: Command) -> Command:
    for name, text in _IMPORT_SWITCHES.items():
        command.params.append(Switch(_names(name), help=text))
    for name, text in _IMPORT_SETTINGS.items():
        command.params.append(click.Option(_names(name), help=text))
    return command


def _names(name: str) -> list[str]:
    return [f"--{name}"] + ([_SHORT[name]] if name in _SHORT else [])


@dataclass(frozen=True, slots=True)
class Source:
    """What is to be added."""

    paths: tuple[str, ...]
    rules: WalkRules
    stdin_name: str

    def entries(self) -> AsyncIterator[Entry]:
        return entries(self.paths, self.rules, self.stdin_name)

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
        last = ""
        for cid, name, size in lines:
            last = cid
            if self.as_json:
                emit({"cid": cid, "name": name, "size": size})
            elif not self.quieter:
                click.echo(cid if self.quiet else f"added {cid} {name}".rstrip())
        if self.quieter and last and not self.as_json:
            click.echo(last)


@click.command("add", cls=SwitchCommand)
@click.argument("paths", nargs=-1, metavar="PATH...")
@click.option("--recursive", "-r", cls=Switch, default=False, help="Add folders with all that is in them.")
@click.option("--wrap-with-directory", "-w", cls=Switch, default=False, help="Put it all under one folder.")
@click.option("--hidden", "-H", cls=Switch, default=False, help="Take names that begin with a dot too.")
@click.option("--dereference-symlinks", cls=Switch, default=False, help="Follow symlinks, do not keep them.")
@click.option("--ignore", multiple=True, metavar="PATTERN", help="Leave out names that match; repeatable.")
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
def command(context: Session, /, paths: tuple[str, ...], **given: object) -> None:
    """Add files or folders; answers when they are stored and the pin is durable.

    Without a PATH, or for the PATH "-", standard input is added.
    """
    rules = WalkRules(
        recursive=bool(given["recursive"]),
        hidden=bool(given["hidden"]),
        dereference=bool(given["dereference_symlinks"]),
        ignore=given["ignore"] if isinstance(given["ignore"], tuple) else (),
    )
    source = Source(_or_stdin(paths), rules, str(given["stdin_name"]))
    output = Output(bool(given["quiet"]), bool(given["quieter"]), bool(given["as_json"]))
    query = _import_query(given)
    from_query(dict(query), PROFILE)  # contradictions are told before anything is read or sent
    if given["only_hash"]:
        output.show(_hash_only(source, query, bool(given["progress"])))
    else:
        query += pin_query({**given, "name": given["pin_name"] or given["name"]})
        query.append(("no-pin", str(not given["pin"]).lower()))
        output.show(_upload(context, source, query, bool(given["progress"])))


_import_options(command)


def _import_query(given: dict[str, object]) -> list[tuple[str, str]]:
    names = [*_IMPORT_SWITCHES, *_IMPORT_SETTINGS, "wrap-with-directory"]
    values = ((name, given[name.replace("-", "_")]) for name in names)
    profile = given["profile"] or (PROFILE if given["cid_version"] is None else KUBO_PROFILE)
    return [("profile", str(profile)), *((name, _text(value)) for name, value in values if value is not None)]


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _or_stdin(paths: tuple[str, ...]) -> tuple[str, ...]:
    """As Kubo has it: nothing named and something piped in means that. Raises UsageError."""
    if not paths and sys.stdin.isatty():
        raise click.UsageError("name a file or folder to add, or pipe something in")
    return paths or (STDIN,)


def _hash_only(source: Source, query: list[tuple[str, str]], progress: bool) -> list[tuple[str, str, int]]:
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
    context: Session, source: Source, query: list[tuple[str, str]], progress: bool
) -> Iterator[tuple[str, str, int]]:
    stamps = any(name.startswith("preserve-") and value == "true" for name, value in query)
    with progress_bar("add", source.total() if progress else None, hidden=not progress) as advance:
        body = upload_body(source.entries(), stamps=stamps, advance=advance)
        for line in context.api().upload("/add", query, CONTENT_TYPE, body):
            if line.text("cid"):
                yield line.text("cid"), line.text("name"), line.number("size")
