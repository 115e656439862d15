"""Signed IPNS records as they are (spec: trustless gateway, IPIP-351): the client verifies them."""

from __future__ import annotations

import hashlib
import time
from email.utils import formatdate

from aiohttp import web

from node.http.app_key import PARTS
from node.http.errors import BadRequest
from node.http.gateway.formats.negotiation import TYPES, Asked
from node.http.gateway.replies import reply, response_headers
from node.names.ipns_record import IpnsRecord
from node.names.name import IpnsName, NamePath


async def record(request: web.Request, path: NamePath, asked: Asked, *, fetch: bool) -> web.Response:
    """The newest record of a key; without `fetch`, of those kept here.

    Raises BadRequest for a DNSLink or a path below the name, NamesError.
    """
    if not isinstance(path.name, IpnsName) or path.segments:
        raise BadRequest(f"{path}: there are IPNS records of keys, and of nothing below them")
    found = (await request.app[PARTS].names.record(path.name, fetch=fetch)).record
    headers = response_headers.cors(request)
    headers["Content-Type"] = TYPES["ipns-record"]
    headers["Etag"] = f'"{hashlib.sha256(found.raw).hexdigest()[:32]}"'
    if cache := cache_control(found, time.time()):
        headers["Cache-Control"] = cache
    response_headers.set_content_location(headers, asked.location(request.rel_url.raw_path, request.query))
    if response := reply.conditional(request, headers):
        return response
    if found.ttl is None:  # caches may guess from this; no condition is compared with it
        headers["Last-Modified"] = formatdate(usegmt=True)
    response_headers.set_attachment(request, headers, f"{path.name}.ipns-record")
    return web.Response(body=found.raw, headers=headers)


def cache_control(found: IpnsRecord, now: float) -> str:
    """The record's own TTL, and never longer than it is valid; empty without a TTL."""
    if found.expires <= now:
        return "no-store"
    return "" if found.ttl is None else f"public, max-age={int(min(found.ttl, found.expires - now))}"
