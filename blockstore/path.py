"""Content paths: `/ipfs/<cid>/a/b` read, and walked to the block or field they lead to."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import unquote

from blockstore.block import Block
from blockstore.blocks import BlockSource
from blockstore.cid import CID, DAG_CBOR, DAG_JSON, DAG_PB
from blockstore.errors import BadCid, BadPath, NoLink
from blockstore.ipld import decoding
from blockstore.ipld.codecs import Value
from blockstore.unixfs.listing import find_link

MAX_PATH = 16 * 1024  # characters
MAX_SEGMENTS = 1024
_URI = re.compile(r"(ipfs|ipns):(?://)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ContentPath:
    """A root and the names to follow from it, decoded: no empty ones, no "." and no ".."."""

    root: CID
    segments: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "/".join(("/ipfs", str(self.root), *self.segments))

    @classmethod
    def parse(cls, text: str) -> ContentPath:
        """From `/ipfs/<cid>/a/b`, `<cid>/a/b`, or a URI of that (see `path_of_uri`).

        ".." takes back the name before it, and may not leave the root. Raises BadPath.
        """
        shown = text if len(text) <= 200 else text[:200] + "…"
        path = path_of_uri(text)
        if len(text) > MAX_PATH or "\0" in path:
            raise BadPath(f'invalid path "{shown}": above {MAX_PATH} characters, or a NUL in it')
        root, _, rest = _without_namespace(path).partition("/")
        try:
            return cls(CID.parse(root), clean_segments(rest))
        except (BadCid, ValueError) as error:
            raise BadPath(f'invalid path "{shown}": {error}') from None


@dataclass(frozen=True, slots=True)
class Resolved:
    """Where a path leads.

    `cid` is the last block reached; `remainder` the names of the fields inside it that the path ends in
    (dag-cbor and dag-json only). `roots` has the block each segment led to, the root first. `walked` are the
    blocks read to get there, shards of HAMTs included, in order; `cid` is one only if its fields were read.
    """

    cid: CID
    roots: tuple[CID, ...]
    remainder: tuple[str, ...] = ()
    walked: tuple[CID, ...] = ()


async def resolve(blocks: BlockSource, path: ContentPath) -> Resolved:
    """Follow a path through directories, HAMTs, link names of plain dag-pb, and dag-cbor and dag-json fields.

    Raises NoLink where a segment leads nowhere, BlockNotFound, BadBlock, UnknownCodec, DagTooLarge.
    """
    walk = _PathWalk(path.root, [path.root])
    for segment in path.segments:
        await walk.step(blocks, segment)
        walk.roots.append(walk.cid)
    return Resolved(walk.cid, tuple(walk.roots), tuple(walk.remainder), tuple(walk.walked))


@dataclass(slots=True)
class _PathWalk:
    """The place reached so far: a block, or a value inside one."""

    cid: CID
    roots: list[CID]
    walked: list[CID] = field(default_factory=list)
    remainder: list[str] = field(default_factory=list)
    value: Value = None

    async def step(self, blocks: BlockSource, segment: str) -> None:
        if not self.remainder:
            block = await blocks.get(self.cid)
            self.walked.append(self.cid)
            if block.cid.codec == DAG_PB:
                await self._follow_link(blocks, block, segment)
                return
            self.value = await decoding.decode(block) if block.cid.codec in (DAG_CBOR, DAG_JSON) else None
        self._enter(segment)

    async def _follow_link(self, blocks: BlockSource, block: Block, name: str) -> None:
        found = await find_link(blocks, block, name)
        self.walked += found.shards
        if found.link is None:
            raise NoLink(name, block.cid)
        self.cid = found.link.cid

    def _enter(self, segment: str) -> None:
        value = _field(self.value, segment, self.cid)
        if isinstance(value, CID):
            self.cid, self.value = value, None
            self.remainder.clear()
        else:
            self.value = value
            self.remainder.append(segment)


def _field(value: Value, segment: str, cid: CID) -> Value:
    if isinstance(value, dict) and segment in value:
        return value[segment]
    if isinstance(value, list) and segment.isascii() and segment.isdigit() and len(segment) < 10:
        index = int(segment)
        if index < len(value):
            return value[index]
    raise NoLink(segment, cid)


def path_of_uri(text: str) -> str:
    """`/ipfs/<cid>/a` for `ipfs://<cid>/a` and `ipfs:<cid>/a`, the same for ipns; other text as it is.

    The scheme may be in any case. Percent-decoded; a query and a fragment say nothing of content (IPIP-548).
    """
    if (scheme := _URI.match(text)) is None:
        return text
    rest = text[scheme.end() :].partition("#")[0].partition("?")[0]
    return f"/{scheme[1].lower()}/{unquote(rest, errors='surrogateescape')}"


def _without_namespace(path: str) -> str:
    if path.startswith("/ipfs/"):
        return path[len("/ipfs/") :]
    if path.startswith("/"):
        raise BadPath(f'invalid path "{path[:200]}": it does not begin with /ipfs/ or with a CID')
    return path


def clean_segments(text: str) -> tuple[str, ...]:
    """`a//b/./c/..` as ("a", "b"). Raises ValueError where ".." leaves the root, or for too many segments."""
    segments: list[str] = []
    for segment in text.split("/"):
        if segment == "..":
            if not segments:
                raise ValueError('".." leads out of the root')
            segments.pop()
        elif segment not in ("", "."):
            segments.append(segment)
    if len(segments) > MAX_SEGMENTS:
        raise ValueError(f"more than {MAX_SEGMENTS} segments")
    return tuple(segments)
