"""cat, get, ls and block/*."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from aiohttp import web

from blockstore.block import MAX_BLOCK_BYTES
from blockstore.blocks import BlockSource
from blockstore.cid import CID, DAG_PB, RAW
from blockstore.errors import BadPath, BlockTooLarge
from blockstore.path import path_of_uri
from blockstore.unixfs.listing import DirectoryEntry, list_directory
from blockstore.unixfs.reader import UnixFSStat, read_file, stat
from blockstore.unixfs.tar import tar_stream
from node.http.admin.auditing import note
from node.http.admin.callers import CALLER
from node.http.app_key import PARTS
from node.http.content_paths import resolved
from node.http.errors import BadRequest
from node.http.go import query_values
from node.http.go.gojson import Json, escaped_name
from node.http.rpc import answers
from node.http.rpc.answers import argument
from node.http.rpc.block_names import BlockNames
from node.http.uploads.parts import parts as upload_parts
from node.services.add import KEPT

_KINDS = {"directory": 1, "file": 2, "symlink": 4}


async def cat(request: web.Request) -> web.StreamResponse:
    """The bytes of one file."""
    offset = query_values.integer(request.query, "offset")
    length = query_values.integer(request.query, "length", -1)
    if offset < 0:
        raise BadRequest("cannot specify negative offset")
    cid, blocks = await _end(request)
    info = await stat(blocks, cid)
    stop = info.size if length < 0 else min(info.size, offset + length)
    pieces = read_file(blocks, cid, offset, stop)
    return await answers.octets(request, pieces, "text/plain", max(0, stop - offset))


async def get(request: web.Request) -> web.StreamResponse:
    """A file or tree as TAR, its root named as in the path."""
    if query_values.boolean(request.query, "compress"):
        raise BadRequest("compress is not supported")
    name = path_of_uri(argument(request)).rstrip("/").rpartition("/")[2]
    cid, blocks = await _end(request)
    info = await stat(blocks, cid)
    pieces = tar_stream(blocks, cid, name)
    return await answers.octets(request, pieces, "application/x-tar", info.cumulative)


async def ls(request: web.Request) -> web.StreamResponse:
    """Entries of a directory; nothing for a file."""
    resolve_types = query_values.boolean(request.query, "resolve-type", True)
    sizes = query_values.boolean(request.query, "size", True) or resolve_types
    stream = query_values.boolean(request.query, "stream")
    cid, blocks = await _end(request)
    hash_ = argument(request)
    links = _links(blocks, await stat(blocks, cid), resolve_types, sizes)
    if stream:
        return await answers.objects(request, _one_by_one(hash_, links))
    return answers.one(_listing(hash_, [link async for link in links]))


async def block_get(request: web.Request) -> web.StreamResponse:
    cid, blocks = await _end(request)
    block = await blocks.get(cid)

    async def pieces() -> AsyncGenerator[bytes]:
        yield block.data

    return await answers.octets(request, pieces(), "application/vnd.ipld.raw", len(block.data))


async def block_stat(request: web.Request) -> web.StreamResponse:
    cid, blocks = await _end(request)
    return answers.one({"Key": str(cid), "Size": len((await blocks.get(cid)).data)})


async def block_put(request: web.Request) -> web.StreamResponse:
    """A block a part of the upload, named as `BlockNames` says; pinned with `pin=true`."""
    pin = query_values.boolean(request.query, "pin")
    return await answers.objects(request, _put(request, BlockNames.of(request.query), pin))


async def _put(request: web.Request, names: BlockNames, pin: bool) -> AsyncGenerator[Json]:
    parts = request.app[PARTS]
    async for part in upload_parts(request):
        data = b""
        async for piece in part.body:
            data += piece
            if len(data) > MAX_BLOCK_BYTES:
                raise BlockTooLarge(f"a block may have at most {MAX_BLOCK_BYTES} bytes: peers refuse larger")
        block = names.name(data)
        with parts.store.protect():
            await parts.blocks.put_many([block])
            if pin:
                note(request, [block.cid])
                await parts.add_service.pin_root(block.cid, KEPT._replace(owner=request[CALLER].owner))
            else:
                await parts.store.flush()
        yield {"Key": str(block.cid), "Size": len(data)}


async def _end(request: web.Request) -> tuple[CID, BlockSource]:
    """The block that the argument leads to. Raises BadPath where it is a field inside one."""
    offline = query_values.boolean(request.query, "offline")
    found, blocks = await resolved(request.app[PARTS], argument(request), offline=offline)
    if found.remainder:
        raise BadPath(f"{'/'.join(found.remainder)} is a field inside {found.cid}, not a block")
    return found.cid, blocks


async def _links(
    blocks: BlockSource, info: UnixFSStat, resolve_types: bool, sizes: bool
) -> AsyncGenerator[Json]:
    if info.kind != "directory":
        return
    async with aclosing(list_directory(blocks, info.cid)) as entries:
        async for entry in entries:
            yield await _link(blocks, entry, resolve_types, sizes)


async def _link(blocks: BlockSource, entry: DirectoryEntry, resolve_types: bool, sizes: bool) -> Json:
    size, kind, target = (entry.tsize or 0) if sizes else 0, 0, ""
    if entry.cid.codec == RAW:
        kind = _KINDS["file"]
    elif resolve_types and entry.cid.codec == DAG_PB:
        info = await stat(blocks, entry.cid)
        size, kind = info.size, _KINDS[info.kind]
        target = (info.target or b"").decode(errors="replace")
    link: dict[str, Json] = {
        "Name": entry.name, "Hash": str(entry.cid), "Size": size, "Type": kind, "Target": target,
    }  # fmt: skip
    if escaped := escaped_name(entry.name):
        link["NameEscaped"] = escaped
    return link


async def _one_by_one(hash_: str, links: AsyncGenerator[Json]) -> AsyncGenerator[Json]:
    async with aclosing(links):
        async for link in links:
            yield _listing(hash_, [link])


def _listing(hash_: str, links: list[Json]) -> Json:
    return {"Objects": [{"Hash": hash_, "Links": links}]}
