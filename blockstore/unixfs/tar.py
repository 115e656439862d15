"""A file or a directory tree as a TAR stream (IPIP-288): ustar headers, pax records where needed."""

from __future__ import annotations

import posixpath
import tarfile
from collections import deque
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing

from blockstore.block import Block
from blockstore.blocks import BlockSource
from blockstore.cid import CID
from blockstore.errors import BadPath
from blockstore.prefetch.prefetch_walk import PrefetchWalk
from blockstore.prefetch.window import prefetching
from blockstore.unixfs.importing.entries import MAX_LEVELS
from blockstore.unixfs.listing import DirectoryEntry, list_directory
from blockstore.unixfs.reader import UnixFSStat, read_file, stat_of

_AHEAD = 16  # entries whose blocks are fetched together,
_AHEAD_BYTES = 4 * 1024 * 1024  # when they are that small

_TYPES = {"file": tarfile.REGTYPE, "directory": tarfile.DIRTYPE, "symlink": tarfile.SYMTYPE}
_MODES = {"file": 0o644, "directory": 0o755, "symlink": 0o777}


async def tar_stream(blocks: BlockSource, cid: CID, name: str) -> AsyncGenerator[bytes]:
    """The tree under `cid`, its root called `name`; each directory before what is in it.

    Modes and times are the recorded ones, else 0644/0755 and 1970: the same tree gives the same bytes.
    Raises BadPath where an entry's name would put it outside the root or through another entry;
    NotUnixFS, BadBlock, BlockNotFound.
    """
    if _escapes(name):
        raise BadPath(f'"{name}" cannot be the name of the root of an archive')
    async with aclosing(_tree(blocks, cid, name)) as members:
        async for path, root in members:
            info = await stat_of(root)
            yield _header(path, info)
            if info.kind == "file":
                async with aclosing(read_file(blocks, root.cid, root=root)) as pieces:
                    async for piece in pieces:
                        yield piece
                yield bytes(-info.size % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)


async def _tree(blocks: BlockSource, cid: CID, name: str) -> AsyncGenerator[tuple[str, Block]]:
    """Path in the archive and root block of each member, depth first."""
    root = await blocks.get(cid)
    yield name, root
    if not await _is_directory(root):
        return
    async with (
        prefetching(blocks) as window,
        aclosing(_below(blocks, cid, name, PrefetchWalk(window))) as members,
    ):
        async for member in members:
            yield member


async def _below(
    blocks: BlockSource, cid: CID, name: str, prefetch_walk: PrefetchWalk
) -> AsyncGenerator[tuple[str, Block]]:
    listings = [(name, _Listing(blocks, cid))]
    try:
        while listings:
            directory, entries = listings[-1]
            entry = await entries.next()
            if entry is None:
                listings.pop()
                continue
            path = _join(directory, entry.name)
            root = await prefetch_walk.take(entry.cid, entries.following(_AHEAD_BYTES))
            yield path, root
            if await _is_directory(root):
                if len(listings) > MAX_LEVELS:  # that of the root does not count: it may wrap what was added
                    raise BadPath(f'"{path[:80]}…" is deeper than {MAX_LEVELS} directories in one another')
                listings.append((path, _Listing(blocks, entry.cid)))
    finally:
        for _, entries in listings:
            await entries.close()


class _Listing:
    """The entries of one directory, a few of them known before their turn."""

    def __init__(self, blocks: BlockSource, cid: CID) -> None:
        self._entries = list_directory(blocks, cid)
        self._known: deque[DirectoryEntry] = deque()

    async def next(self) -> DirectoryEntry | None:
        """None at the end."""
        while len(self._known) < _AHEAD:
            entry = await anext(self._entries, None)
            if entry is None:
                break
            self._known.append(entry)
        return self._known.popleft() if self._known else None

    def following(self, max_bytes: int) -> Iterator[CID]:
        """The next ones, as long as they say that they are not above that many bytes together."""
        total = 0
        for entry in self._known:
            total += entry.tsize or 0
            if total > max_bytes:
                return
            yield entry.cid

    async def close(self) -> None:
        await self._entries.aclose()


async def _is_directory(root: Block) -> bool:
    return (await stat_of(root)).kind == "directory"


def _join(directory: str, name: str) -> str:
    """The entry's place. A name may lead up with "../" to a directory it is in, never out of the root."""
    path = posixpath.normpath(f"{directory}/{name}")
    parent = posixpath.dirname(path)
    inside = bool(parent) and f"{directory}/".startswith(f"{parent}/")
    if not name or "\0" in name or not inside or f"{directory}/".startswith(f"{path}/"):
        raise BadPath(f'entry "{name}" of "{directory}" would lie outside the root or below another entry')
    return path


def _escapes(name: str) -> bool:
    return name in ("", ".", "..") or "/" in name or "\0" in name


class _Member(tarfile.TarInfo):
    """Without the slash that Python puts behind a directory: Kubo's client refuses a root that has it."""

    def get_info(self) -> Mapping[str, str | int | bytes | Mapping[str, str]]:
        return {**super().get_info(), "name": self.name}


def _header(path: str, info: UnixFSStat) -> bytes:
    member = _Member(path)
    member.type = _TYPES[info.kind]
    member.size = info.size if info.kind == "file" else 0
    member.mode = _MODES[info.kind] if info.mode is None else info.mode & 0o7777
    member.linkname = (info.target or b"").decode("utf-8", "surrogateescape")
    if info.mtime is not None:
        seconds, nanos = info.mtime
        member.mtime = seconds
        if nanos:  # exact, where the float that tarfile would write is not
            member.pax_headers = {"mtime": _decimal(seconds, nanos)}
    return member.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def _decimal(seconds: int, nanos: int) -> str:
    """Seconds with nine decimals, for times before 1970 too."""
    total = seconds * 1_000_000_000 + nanos
    whole, part = divmod(abs(total), 1_000_000_000)
    return f"{'-' if total < 0 else ''}{whole}.{part:09d}"
