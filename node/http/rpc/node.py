"""version, id and repo/*: about this node."""

from __future__ import annotations

import base64
import platform
from collections.abc import AsyncGenerator
from contextlib import aclosing

from aiohttp import web

from blockstore.upkeep import Swept
from node.datadir.identity import public_key_of
from node.http.app_key import PARTS
from node.http.errors import BadRequest
from node.http.go import gojson, query_values
from node.http.rpc import answers
from node.http.rpc.answers import argument
from node.version import KUBO_VERSION, VERSION

_PUBLIC_KEY = b"\x08\x01\x12\x20"  # the head of libp2p's PublicKey message: Ed25519, 32 bytes
_REPO_VERSION = "18"  # of Kubo's repository format; its clients only print it


async def version(request: web.Request) -> web.StreamResponse:
    return answers.one(
        {
            "Version": KUBO_VERSION,
            "Commit": f"pinfold-{VERSION}",
            "Repo": _REPO_VERSION,
            "System": f"{platform.machine()}/{platform.system().lower()}",
            "Golang": "",
        }
    )


async def identity(request: web.Request) -> web.StreamResponse:
    """This node; of others nothing is known here. Raises BadRequest."""
    parts = request.app[PARTS]
    if request.query.get("arg") and query_values.peer_id(argument(request)) != parts.peer:
        raise BadRequest(f"{argument(request)[:128]} is another node, of which nothing is known here")
    addresses = parts.swarm.addresses(parts.peer) if parts.swarm else ()
    return answers.one(
        {
            "ID": parts.peer,
            "PublicKey": base64.b64encode(_PUBLIC_KEY + public_key_of(parts.peer)).decode(),
            "Addresses": sorted(addresses),
            "AgentVersion": f"pinfold/{VERSION}",
            "Protocols": [],
        }
    )


async def repo_gc(request: web.Request) -> web.StreamResponse:
    """A line for each block that went."""

    async def lines() -> AsyncGenerator[gojson.Json]:
        async with aclosing(request.app[PARTS].garbage_collection.run()) as steps:
            async for step in steps:
                for cid in step.cids if isinstance(step, Swept) else ():
                    yield {"Key": {"/": str(cid)}}

    return await answers.objects(request, lines())


async def repo_stat(request: web.Request) -> web.StreamResponse:
    usage = await request.app[PARTS].store.usage()
    sizes_alone = query_values.boolean(request.query, "size-only")
    return answers.one(
        {
            "RepoSize": usage.bytes,
            "StorageMax": usage.quota or usage.bytes + usage.free,
            "NumObjects": 0 if sizes_alone else usage.blocks,
            "RepoPath": "",
            "Version": f"fs-repo@{_REPO_VERSION}",
        }
    )
