"""Content paths in requests to the APIs: `/ipfs/<cid>/a/b`, `ipfs://…`, a CID alone, and names likewise."""

from __future__ import annotations

from blockstore.blocks import BlockSource
from blockstore.cid import CID
from blockstore.errors import BadPath
from blockstore.fetch_progress import FetchesInFlight
from blockstore.path import ContentPath, Resolved, path_of_uri, resolve
from node.names.name import NamePath
from node.parts import Parts
from node.retrieval.deadline import Deadline
from node.retrieval.deadline_blocks import DeadlineBlocks
from node.retrieval.negative_cache import NegativeCache


async def resolved(parts: Parts, text: str, *, offline: bool = False) -> tuple[Resolved, BlockSource]:
    """Where the path leads, and the source of blocks for what lies there; `offline`: of what is here alone.

    Raises BadPath, NoLink, BlockNotFound, NamesError, RetrievalTimeout.
    """
    path = await _content_path(parts, text)
    in_flight, deadline = FetchesInFlight(), Deadline(parts.config.gateway.first_byte_timeout)
    blocks = (parts.kept if offline else parts.content)(path.root, in_flight)
    timed = DeadlineBlocks(blocks, in_flight, parts.store, NegativeCache(0), deadline)
    return await resolve(timed, path), blocks


async def _content_path(parts: Parts, text: str) -> ContentPath:
    if not path_of_uri(text).startswith("/ipns/"):
        return ContentPath.parse(text)
    return (await parts.names.resolve(NamePath.parse(text))).path


async def resolved_cid(parts: Parts, text: str) -> CID:
    """The CID at the end of a path; a CID alone is not looked at. Raises what `resolved` raises."""
    found, _ = await resolved(parts, text)
    if found.remainder:
        raise BadPath(f'"{text[:200]}" leads to a field inside {found.cid}: only whole blocks can be pinned')
    return found.cid
