"""name/put, name/get and name/resolve: IPNS records, and where names lead."""

from __future__ import annotations

from aiohttp import web

from blockstore.path import path_of_uri
from node.http.app_key import PARTS
from node.http.errors import BadRequest
from node.http.rpc import answers
from node.http.rpc.answers import HEADERS, argument
from node.http.uploads.parts import Part
from node.http.uploads.parts import parts as upload_parts
from node.names.ipns_record import MAX_BYTES
from node.names.name import IpnsName, NamePath

_RECORD = "application/vnd.ipfs.ipns-record"


async def put(request: web.Request) -> web.StreamResponse:
    """Verify the uploaded record of the name `arg` and keep it."""
    name = _key_name(request)
    async for part in upload_parts(request):
        await request.app[PARTS].names.put(name, await _read(part))
        return web.Response(headers={**HEADERS, "Content-Type": "text/plain"})
    raise BadRequest('file argument "record" is required')


async def get(request: web.Request) -> web.StreamResponse:
    """The newest record of a name, as bytes."""
    kept = await request.app[PARTS].names.record(_key_name(request))
    return web.Response(body=kept.record.raw, headers={**HEADERS, "Content-Type": _RECORD})


async def resolve(request: web.Request) -> web.StreamResponse:
    """The content path that a name, or a path below one, leads to."""
    text = argument(request)
    path = NamePath.parse(text if path_of_uri(text).startswith("/ipns/") else f"/ipns/{text}")
    found = await request.app[PARTS].names.resolve(path)
    return answers.one({"Path": str(found.path)})


def _key_name(request: web.Request) -> IpnsName:
    return IpnsName.parse(path_of_uri(argument(request)).removeprefix("/ipns/"))


async def _read(part: Part) -> bytes:
    """One byte more than a record may have is enough to refuse it."""
    data = b""
    async for piece in part.body:
        data = (data + piece)[: MAX_BYTES + 1]
    return data
