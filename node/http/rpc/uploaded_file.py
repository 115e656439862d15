"""One small file of an upload: a record of a name, a private key."""

from __future__ import annotations

from aiohttp import web

from node.http.errors import BadRequest
from node.http.uploads.parts import parts as upload_parts


async def uploaded_file(request: web.Request, argument: str, most: int) -> bytes:
    """The first file, cut one byte behind `most`, which its reader refuses. Raises BadRequest without one."""
    async for part in upload_parts(request):
        data = b""
        async for piece in part.body:
            data = (data + piece)[: most + 1]
        return data
    raise BadRequest(f'file argument "{argument}" is required')
