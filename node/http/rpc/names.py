"""name/publish, name/put, name/get and name/resolve: IPNS records, and where names lead."""

from __future__ import annotations

import asyncio

from aiohttp import web

from blockstore.path import ContentPath, path_of_uri
from node.datadir.keystore import SELF, BadLabel, Keystore, NoKey
from node.datadir.private_key import PrivateKey
from node.http.app_key import PARTS
from node.http.content_paths import resolved
from node.http.errors import BadRequest
from node.http.go import query_values
from node.http.go.durations import parse_duration
from node.http.rpc import answers
from node.http.rpc.answers import HEADERS, argument
from node.http.rpc.name_text import NameText
from node.http.rpc.uploaded_file import uploaded_file
from node.names.errors import BadName
from node.names.ipns_record import MAX_BYTES
from node.names.name import IpnsName, NamePath, Target, parse_target
from node.names.publishing import LIFETIME, TTL, Publication
from node.names.signing import name_of

_RECORD = "application/vnd.ipfs.ipns-record"


async def put(request: web.Request) -> web.StreamResponse:
    """Verify the uploaded record of the name `arg` and keep it."""
    name = _key_name(request)
    record = await uploaded_file(request, "record", MAX_BYTES)
    await request.app[PARTS].publishing.keep(name, record)
    return web.Response(headers={**HEADERS, "Content-Type": "text/plain"})


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


async def publish(request: web.Request) -> web.StreamResponse:
    """Lead the name of a key of this node to the path `arg`."""
    parts, text = request.app[PARTS], NameText.of(request.query)
    wish = Publication(
        await _target(request),
        lifetime=_seconds(request, "lifetime", LIFETIME, least=1.0),
        ttl=_seconds(request, "ttl", TTL),
        sequence=query_values.integer(request.query, "sequence") if request.query.get("sequence") else None,
        v1=query_values.boolean(request.query, "v1compat", True),
    )
    key = await asyncio.to_thread(_key, parts.keys, request.query.get("key") or SELF)
    record = await parts.publishing.publish(key, wish)
    return answers.one({"Name": text(name_of(key)), "Value": record.value})


async def _target(request: web.Request) -> Target:
    """The path must lead somewhere unless `resolve` is off. Raises BadPath, NoLink, NamesError."""
    path = path_of_uri(argument(request))
    target = parse_target(path if path.startswith(("/ipfs/", "/ipns/")) else f"/ipfs/{path}")
    alone = isinstance(target, ContentPath) and not target.segments
    if query_values.boolean(request.query, "resolve", True) and not alone:
        await resolved(request.app[PARTS], str(target))
    return target


def _seconds(request: web.Request, name: str, default: float, least: float = 0.0) -> float:
    """Of a Go duration. Raises BadRequest."""
    if not (text := request.query.get(name, "")):
        return default
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise BadRequest(f"parameter {name} invalid: {error}") from None
    if seconds < least:
        raise BadRequest(f"parameter {name} invalid: at least {least:g} s")
    return seconds


def _key(keys: Keystore, text: str) -> PrivateKey:
    """By what it is called here, else by the name that it signs for. Raises NoKey."""
    try:
        return keys.get(text)
    except (NoKey, BadLabel):
        pass
    try:
        found = keys.with_multihash(IpnsName.parse(text).multihash)
    except BadName:
        found = None
    if found is None:
        raise NoKey(f"no key by the given name or PeerID was found: {text[:200]}")
    return found


def _key_name(request: web.Request) -> IpnsName:
    return IpnsName.parse(path_of_uri(argument(request)).removeprefix("/ipns/"))
