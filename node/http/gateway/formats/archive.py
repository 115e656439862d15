"""DAGs as CAR (spec: trustless gateway; IPIP-402, IPIP-412): version 1, depth first."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Literal

from aiohttp import web

from blockstore.block import Block
from blockstore.car.writer import car_stream
from blockstore.ipld.depth_first import Skip, depth_first
from blockstore.path import Resolved
from blockstore.unixfs.entity import ByteSpan, entity
from node.http.app_key import PARTS
from node.http.errors import BadRequest
from node.http.gateway.formats.content import Content
from node.http.gateway.formats.negotiation import TYPES
from node.http.gateway.replies import reply, response_headers
from node.http.gateway.replies.size_limits import capped
from node.http.trailers import TrailerResponse

MAX_DEPTH = 1024  # levels of a DAG that are followed: four for each that a tree may have (unixfs.entries)
BROKEN_OFF = b"[Gateway Error: CAR stream truncated, response is incomplete]"

_ALLOWED = {"version": ("1",), "order": ("dfs", "unk"), "dups": ("y", "n")}
_SPAN = re.compile(r"(-?[0-9]{1,18}):(\*|-?[0-9]{1,18})")

Scope = Literal["block", "entity", "all"]
_SCOPES: dict[str, Scope] = {"block": "block", "entity": "entity", "all": "all"}


@dataclass(frozen=True, slots=True)
class Selection:
    """Which blocks of a DAG, besides those of the path."""

    scope: Scope = "all"
    span: ByteSpan | None = None
    duplicates: bool = False

    @classmethod
    def of(cls, query: Mapping[str, str], accepted: Mapping[str, str]) -> Selection:
        """From the URL's parameters and those of Accept; the URL's count. Raises BadRequest."""
        asked = {name: query.get(f"car-{name}") or accepted.get(name) for name in _ALLOWED}
        for name, value in asked.items():
            if value and value not in _ALLOWED[name]:
                allowed = " or ".join(_ALLOWED[name])
                raise BadRequest(f'CAR {name} "{value[:32]}" is not supported: {allowed}')
        scope = query.get("dag-scope") or "all"
        if scope not in _SCOPES:
            raise BadRequest(f'dag-scope "{scope[:32]}" is not supported: {", ".join(_SCOPES)}')
        span = _span(query["entity-bytes"]) if query.get("entity-bytes") else None
        return cls("entity" if span else _SCOPES[scope], span, asked["dups"] == "y")

    @property
    def dups(self) -> str:
        return "y" if self.duplicates else "n"


def _span(text: str) -> ByteSpan:
    match = _SPAN.fullmatch(text)
    if match is None:
        raise BadRequest(f'entity-bytes "{text[:64]}" is not FROM:TO, both whole numbers, TO perhaps *')
    first, last = int(match[1]), None if match[2] == "*" else int(match[2])
    if last is not None and (first < 0) == (last < 0) and first > last:
        raise BadRequest(f'entity-bytes "{text[:64]}" ends before it begins')
    return ByteSpan(first, last)


async def car(request: web.Request, content: Content, found: Resolved) -> web.StreamResponse:
    """The blocks of the path, then those below its end that were asked for, without what a denylist blocks.

    The archive's root is the end of the path, which is what importing it pins; a path that ends in a field
    ends at the block that holds it (both as in boxo: the specs leave the root open).

    Raises BadRequest for parameters that are not understood, BlockNotFound for a block that cannot be had;
    behind the first 64 KiB that ends the answer with a text that no CAR has, and a trailer that says why.
    """
    wanted = Selection.of(request.query, content.asked.parameters)
    kind = f"{TYPES['car']}; version=1; order=dfs; dups={wanted.dups}"
    headers = content.headers(request, kind, _etag(content, wanted))
    if response := reply.conditional(request, headers):
        return response
    stem = "_".join((str(found.roots[0]), *content.path.content.segments[-1:]))
    response_headers.set_attachment(request, headers, f"{stem}.car")
    headers["Accept-Ranges"] = "none"
    stream = TrailerResponse(headers=headers)
    parts = request.app[PARTS]
    pieces = car_stream([found.cid], _blocks(content, found, wanted, parts.denylist.blocks))
    most = parts.config.gateway.max_response
    return await reply.send(request, stream, capped(pieces, most), content.blocks.deadline, BROKEN_OFF)


def _etag(content: Content, wanted: Selection) -> str:
    """Weak: the same content may be sent in another order by a later release."""
    facts = "\0".join((*content.path.content.segments, wanted.scope, str(wanted.span), wanted.dups))
    digest = hashlib.sha256(facts.encode(errors="replace")).hexdigest()[:13]
    return f'W/"{content.path.content.root}.car.{digest}"'


async def _blocks(
    content: Content, found: Resolved, wanted: Selection, blocked: Skip
) -> AsyncGenerator[Block]:
    """None of the path comes below again: no block can link to one that links to it."""
    for cid in found.walked[: -1 if found.remainder else None]:  # a block with a field at its end comes below
        if not cid.is_identity:
            yield await content.blocks.get(cid)
    async with aclosing(_below(content, found, wanted, blocked)) as blocks:
        async for block in blocks:
            yield block


def _below(content: Content, found: Resolved, wanted: Selection, blocked: Skip) -> AsyncGenerator[Block]:
    source, cid, twice = content.blocks, found.cid, wanted.duplicates
    if wanted.scope == "all":
        return depth_first(source, cid, duplicates=twice, max_depth=MAX_DEPTH, skip=blocked)
    if wanted.scope == "entity":
        return entity(source, cid, wanted.span, duplicates=twice, skip=blocked)
    return _one(content, found)


async def _one(content: Content, found: Resolved) -> AsyncGenerator[Block]:
    if not found.cid.is_identity:
        yield await content.blocks.get(found.cid)
