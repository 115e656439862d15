"""A record of a name as the file of an upload."""

from __future__ import annotations

from aiohttp import web

from node.http.errors import BadRequest
from node.http.uploads.parts import parts as upload_parts
from node.names.ipns_record import MAX_BYTES


async def uploaded_record(request: web.Request) -> bytes:
    """The first file, cut one byte behind the longest record: that is refused. Raises BadRequest."""
    async for part in upload_parts(request):
        data = b""
        async for piece in part.body:
            data = (data + piece)[: MAX_BYTES + 1]
        return data
    raise BadRequest('file argument "record" is required')
