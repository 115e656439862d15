"""All listeners of a node."""

from __future__ import annotations

from asyncio import BaseTransport
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from node.config.sections import GatewayConfig
from node.http.admin.callers import ALWAYS, check_listener
from node.http.connection import Entrance, Refuse, plain
from node.http.gateway.app import gateway_app
from node.http.gateway.connect_tunnel import TunnelConnection
from node.http.limits.addresses import TrustedProxies
from node.http.limits.connections import connection_limit
from node.http.limits.door import Door
from node.http.listener import CLIENT_CONNECTIONS, MAX_CONNECTIONS, Listener, ListenerSettings, listen
from node.http.log.access_log import open_access_log
from node.http.metrics.app import metrics_app
from node.http.pinning import shapes
from node.http.pinning.app import pinning_app
from node.http.request_meter import METER, RequestMeter
from node.http.rest.app import cluster_app
from node.http.rest.json_errors import error_response
from node.http.rpc import rpc_app
from node.parts import Parts

_NO_BODY_BYTES = 16 * 1024  # held of a body that comes to the gateway, which reads none


@dataclass(frozen=True, slots=True)
class Listeners:
    """Where each face really listens."""

    gateway: Listener
    rpc: Listener
    api: Listener
    pinning: Listener
    metrics: Listener | None


@asynccontextmanager
async def serve_faces(parts: Parts) -> AsyncIterator[Listeners]:
    """Answer requests for the length of the block. Raises PortInUse, OpenToOthers."""
    config = parts.config
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        own = config.gateway
        app = gateway_app(parts, await enter(open_access_log(own.access_log)))
        connect = partial(TunnelConnection, idle_timeout=own.idle_timeout)
        gateway = await enter(listen(app, _gateway_settings(own), _gateway_entrance(own), connect))
        local = await check_listener("rpc", config.rpc.host, config.rpc.auth)
        settings = ListenerSettings("rpc", config.rpc.host, config.rpc.port)
        rpc_ = rpc_app(parts, local=local)
        rpc = await enter(listen(rpc_, settings, _entrance(plain)))
        local = await check_listener("api", config.api.host, config.api.auth)
        settings = ListenerSettings("api", config.api.host, config.api.port, socket=config.api.socket)
        api_ = cluster_app(parts, local=local)
        api = await enter(listen(api_, settings, _entrance(error_response)))
        local = await check_listener("pinning", config.pinning.host, ALWAYS)
        settings = ListenerSettings("pinning", config.pinning.host, config.pinning.port)
        pinning_ = pinning_app(parts, local=local)
        pinning = await enter(listen(pinning_, settings, _entrance(shapes.error)))
        meters = {"gateway": app[METER], "rpc": rpc_[METER], "api": api_[METER], "pinning": pinning_[METER]}
        yield Listeners(gateway, rpc, api, pinning, await enter(_serve_metrics(parts, meters)))


@asynccontextmanager
async def _serve_metrics(parts: Parts, meters: Mapping[str, RequestMeter]) -> AsyncIterator[Listener | None]:
    """None where it is switched off."""
    own = parts.config.metrics
    if not own.enabled:
        yield None
        return
    local = await check_listener("metrics", own.host, own.auth)
    app = metrics_app(parts, meters, local=local)
    async with listen(app, ListenerSettings("metrics", own.host, own.port), _entrance(plain)) as listener:
        yield listener


def _gateway_settings(own: GatewayConfig) -> ListenerSettings:
    return ListenerSettings("gateway", own.host, own.port, own.send_timeout, own.idle_timeout, _NO_BODY_BYTES)


def _gateway_entrance(settings: GatewayConfig) -> Entrance:
    """Behind a trusted proxy all visitors have one address, so it has no share to keep to."""
    door = Door[BaseTransport](connection_limit(settings.max_connections), settings.client_connections)
    return Entrance(door, TrustedProxies(settings.trusted_proxies).trusts)


def _entrance(refuse: Refuse) -> Entrance:
    return Entrance(Door(MAX_CONNECTIONS, CLIENT_CONNECTIONS), refuse=refuse)
