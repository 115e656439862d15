"""What an entry of a directory is, nothing fetched: by codec, by name, and by its root where that is here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from blockstore.cid import CBOR, CID, DAG_CBOR, DAG_JSON, DAG_PB, JSON, RAW
from blockstore.errors import BadBlock, NotUnixFS
from blockstore.store import Blockstore
from blockstore.unixfs.listing import DirectoryEntry
from blockstore.unixfs.reader import Kind, stat_of
from node.http.media_types import sniff

_MAX_BYTES = 1024 * 1024  # of roots that are read for one page


class Sort(NamedTuple):
    """How a row shows it: the class of the row, as an attribute, and words."""

    mark: str
    text: str


_FILE = Sort("", "file")
_UNKNOWN = Sort(" class=u", "")
_KINDS = {"directory": Sort(" class=d", "folder"), "symlink": Sort(" class=l", "symlink")}
_NODES = {
    DAG_CBOR: Sort(" class=n", "dag-cbor"),
    DAG_JSON: Sort(" class=n", "dag-json"),
    CBOR: Sort(" class=n", "cbor"),
    JSON: Sort(" class=n", "json"),
}
_MEDIA = {"image": " class=i", "video": " class=v", "audio": " class=a"}
_ARCHIVES = ("zip", "gzip", "x-tar", "x-xz", "zstd", "x-bzip2", "x-7z-compressed", "vnd.rar", "vnd.ipld.car")


async def kinds_here(store: Blockstore, cids: Sequence[CID]) -> dict[CID, Kind]:
    """Of those that are UnixFS and whose root is in the store; some are left out where roots are large."""
    asked = [cid for cid in cids if cid.codec == DAG_PB]
    known, room = [], _MAX_BYTES
    for cid, stat in zip(asked, await store.stat(asked), strict=True):
        if stat is not None and stat.size <= room:
            known.append(cid)
            room -= stat.size
    kinds: dict[CID, Kind] = {}
    for block in await store.get_many(known):
        try:
            if block is not None:
                kinds[block.cid] = (await stat_of(block)).kind
        except (BadBlock, NotUnixFS):
            continue
    return kinds


def sort_of(entry: DirectoryEntry, kinds: Mapping[CID, Kind]) -> Sort:
    """One of a few: a row is made for each of a million entries."""
    codec = entry.cid.codec
    if codec == DAG_PB:
        kind = kinds.get(entry.cid)
        if kind in _KINDS:
            return _KINDS[kind]
        return _by_name(entry.name) or (_FILE if kind == "file" else _UNKNOWN)
    if codec == RAW:
        return _by_name(entry.name) or _FILE
    return _NODES.get(codec, _UNKNOWN)


def _by_name(name: str) -> Sort | None:
    stem, _, extension = name.rpartition(".")
    return _by_extension(extension[:16]) if stem else None


@lru_cache(1024)
def _by_extension(extension: str) -> Sort | None:
    kind = sniff.by_name(f"a.{extension}")
    if kind is None:
        return None
    text = kind.partition(";")[0]
    family, _, form = text.partition("/")
    return Sort(" class=z" if form in _ARCHIVES else _MEDIA.get(family, ""), text)
