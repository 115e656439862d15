"""All listeners of a node."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from node.http.access_log import open_access_log
from node.http.callers import check_listener
from node.http.cluster_api import cluster_app
from node.http.gateway.app import gateway_app
from node.http.gateway.tunnel import TunnelSite
from node.http.limits.connections import connection_limit
from node.http.rpc import rpc_app
from node.http.server import Listener, listen
from node.parts import Parts

_NO_BODY_BYTES = 16 * 1024  # held of a body that comes to the gateway, which reads none


@dataclass(frozen=True, slots=True)
class Faces:
    """Where each face really listens."""

    gateway: Listener
    rpc: Listener
    api: Listener


@asynccontextmanager
async def serve_faces(parts: Parts) -> AsyncIterator[Faces]:
    """Answer requests for the length of the block. Raises PortInUse, OpenToOthers."""
    config = parts.config
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        own = config.gateway
        app = gateway_app(parts, await enter(open_access_log(own.access_log)))
        most, idle = connection_limit(own.max_connections), own.idle_timeout
        site = partial(TunnelSite, most=most, idle_timeout=idle)
        gateway = await enter(
            listen(app, "gateway", own.host, own.port, site, own.send_timeout, idle, _NO_BODY_BYTES)
        )
        local = await check_listener("rpc", config.rpc.host, config.rpc.auth)
        rpc = await enter(listen(rpc_app(parts, local=local), "rpc", config.rpc.host, config.rpc.port))
        local = await check_listener("api", config.api.host, config.api.auth)
        api = await enter(listen(cluster_app(parts, local=local), "api", config.api.host, config.api.port))
        yield Faces(gateway, rpc, api)
