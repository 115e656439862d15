"""A whole DAG as CAR (spec: trustless gateway): version 1, depth first."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator
from contextlib import aclosing

from aiohttp import web

from blockstore.block import Block
from blockstore.car import car_stream
from blockstore.depth_first import depth_first
from blockstore.path import Resolved
from node.http.errors import BadRequest
from node.http.gateway import headers as make
from node.http.gateway import reply
from node.http.gateway.request import accept_parameters
from node.http.gateway.unixfs import Content

_CAR = "application/vnd.ipld.car"


async def car(request: web.Request, content: Content, found: Resolved) -> web.StreamResponse:
    """The blocks of the path, then those below its end: all, or with `dag-scope=block` only the first.

    Raises BadRequest for parameters that are not understood, BlockNotFound for a root that cannot be had.
    """
    scope = request.query.get("dag-scope", "all")
    if scope not in ("all", "block"):
        raise BadRequest(f'dag-scope "{scope[:32]}" is not supported: all or block')
    duplicates = _duplicates(request)
    dups = "y" if duplicates else "n"
    kind = f"{_CAR}; version=1; order=dfs; dups={dups}"
    headers = make.content_headers(content.path, content.roots, kind, _etag(content, scope, dups))
    if response := reply.not_modified(request, headers):
        return response
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Accept-Ranges"] = "none"
    name = request.query.get("filename") or f"{found.roots[0]}.car"
    headers["Content-Disposition"] = make.disposition("attachment", name)
    stream = web.StreamResponse(headers=headers)
    if request.method == "HEAD":
        await stream.prepare(request)
        return stream
    blocks = _blocks(content, found, duplicates=duplicates, below=scope == "all")
    return await reply.send(request, stream, car_stream([found.roots[0]], blocks), content.stall)


def _duplicates(request: web.Request) -> bool:
    """URL parameters win over those of Accept. Raises BadRequest."""
    asked = accept_parameters(request.headers.get("Accept"), _CAR)
    allowed = {"version": ("1",), "order": ("dfs", "unk"), "dups": ("y", "n")}
    for name, values in allowed.items():
        value = request.query.get(f"car-{name}") or asked.get(name)
        if value and value not in values:
            raise BadRequest(f'CAR {name} "{value[:32]}" is not supported: {" or ".join(values)}')
    return (request.query.get("car-dups") or asked.get("dups")) == "y"


def _etag(content: Content, scope: str, dups: str) -> str:
    """Weak: the same content may be sent in another order by a later release."""
    facts = "\0".join((*content.path.content.segments, scope, dups))
    digest = hashlib.sha256(facts.encode(errors="replace")).hexdigest()[:13]
    return f'W/"{content.path.root}.car.{digest}"'


async def _blocks(
    content: Content, found: Resolved, *, duplicates: bool, below: bool
) -> AsyncGenerator[Block]:
    given = set()
    for cid in found.walked:
        if not cid.is_identity and (duplicates or cid not in given):
            yield await content.blocks.get(cid)
        given.add(cid)
    if not below:
        if not found.cid.is_identity and (duplicates or found.cid not in given):
            yield await content.blocks.get(found.cid)
        return
    async with aclosing(depth_first(content.blocks, found.cid, duplicates=duplicates)) as blocks:
        async for block in blocks:
            if duplicates or block.cid not in given:
                yield block
