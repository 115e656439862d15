"""Kubo's options that decide the CIDs of an import, and the API's query of them."""

from __future__ import annotations

from typing import TypeVar

import click

from node.cli.input.go_switches import Switch
from node.cli.input.numbers import not_zero, permissions, whole_number

PROFILE = "unixfs-v1-2025"
# For calls that name a CID version: the CID is the one that `ipfs add` prints for the same options.
KUBO_PROFILE = "unixfs-v0-2015"

Command = TypeVar("Command", bound=click.Command)

# Kubo's switches and settings that decide the CID; sent by these names to the node that imports.
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


def import_options(command: Command) -> Command:
    """Adds them to a command, before its last option, which is `--json`."""
    switches = [Switch(_names(name), help=text) for name, text in _IMPORT_SWITCHES.items()]
    values = [
        click.Option(_names(name), help=text, callback=_CHECKS.get(name))
        for name, text in _IMPORT_SETTINGS.items()
    ]
    command.params[-1:-1] = [*switches, *values]
    return command


def _names(name: str) -> list[str]:
    return [f"--{name}"] + ([_SHORT[name]] if name in _SHORT else [])


def import_query(given: dict[str, object]) -> list[tuple[str, str]]:
    """Of the options as click gives them; the profile first."""
    names = [*_IMPORT_SWITCHES, *_IMPORT_SETTINGS, "wrap-with-directory"]
    values = ((name, given[name.replace("-", "_")]) for name in names)
    profile = given["profile"] or (PROFILE if given["cid_version"] is None else KUBO_PROFILE)
    return [("profile", str(profile)), *((name, _text(value)) for name, value in values if value is not None)]


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
