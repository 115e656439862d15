"""Records of names: the newest one, and one that a client brings, which is verified before it counts."""

from __future__ import annotations

import asyncio
import hashlib
import time
from email.utils import formatdate

from aiohttp import web

from node.http.app_key import PARTS
from node.http.errors import BadRequest
from node.http.routing import answers
from node.names.errors import BadRecord, NameNotFound, OlderRecord
from node.names.ipns_record import MAX_BYTES, IpnsRecord
from node.names.name import IpnsName, NamePath
from node.names.record_routing import ttl_of

RECORD = "application/vnd.ipfs.ipns-record"
_STALE = "stale-while-revalidate={0}, stale-if-error={0}"


async def get(request: web.Request) -> web.Response:
    """The record; a line of text with status 200 where there is none (IPIP-513).

    Raises BadName, NamesError, ContentBlocked.
    """
    accepted = ",".join(request.headers.getall("Accept", ())) or RECORD
    if RECORD not in accepted and "*/*" not in accepted:
        return answers.line_of_text(406, f"there is no record in that form: send Accept: {RECORD}")
    parts, name = request.app[PARTS], IpnsName.parse(request.match_info["name"])
    parts.denylist.check_path(NamePath(name))
    try:
        async with asyncio.timeout(answers.LONGEST):
            kept = await parts.names.record(name)
    except (NameNotFound, TimeoutError) as error:
        text = str(error) or f"{name}: no record was found in {answers.LONGEST:.0f} s"
        return answers.line_of_text(200, text, answers.NOTHING_FOUND)
    return _given(name, kept.record, time.time())


async def put(request: web.Request) -> web.Response:
    """Verify and keep it, and give it to the routers; 409 for an older one. Raises BadName, BadRequest."""
    if RECORD not in request.headers.get("Content-Type", ""):
        return answers.line_of_text(406, f"the body has another form: send Content-Type: {RECORD}")
    name, data = IpnsName.parse(request.match_info["name"]), b""
    async for piece in request.content.iter_any():
        data += piece
        if len(data) > MAX_BYTES:
            raise BadRequest(f"a record has at most {MAX_BYTES} bytes")
    try:
        await request.app[PARTS].publishing.relay(name, data)
    except BadRecord as error:
        raise BadRequest(str(error)) from None
    except OlderRecord as error:
        return answers.line_of_text(409, str(error))
    return web.Response(headers=answers.headers("text/plain; charset=utf-8", "no-store"))


def _given(name: IpnsName, record: IpnsRecord, now: float) -> web.Response:
    made = answers.headers(RECORD, _cache_control(record, now))
    made["Etag"] = f'"{hashlib.sha256(record.raw).hexdigest()[:32]}"'
    made["Expires"] = formatdate(min(record.expires, _FAR), usegmt=True)
    made["Content-Disposition"] = f'attachment; filename="{name}.ipns-record"'
    return web.Response(body=record.raw, headers=made)


_FAR = 4102444800.0  # 2100: dates of HTTP are read by programs that count in 32 bits


def _cache_control(record: IpnsRecord, now: float) -> str:
    """Never longer than the record is valid, fresh or stale."""
    left = int(record.expires - now)
    if left <= 0:
        return "no-store"
    fresh = min(int(ttl_of(record)), left)
    return f"public, max-age={fresh}, {_STALE.format(left - fresh)}"
