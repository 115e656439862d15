"""All listeners of a node."""

from __future__ import annotations

import asyncio
from asyncio import BaseTransport
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial

from node.config.sections import ApiConfig, GatewayConfig, PinningConfig, RpcConfig
from node.http.admin.callers import ALWAYS, check_listener, check_secrecy
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
from node.http.tls.server_certificate import TlsFiles
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
    """Answer requests for the length of the block. Raises PortInUse, OpenToOthers, BadTlsFiles."""
    config = parts.config
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        own = config.gateway
        app = gateway_app(parts, await enter(open_access_log(own.access_log)))
        connect = partial(TunnelConnection, idle_timeout=own.idle_timeout)
        gateway_settings = _gateway_settings(own, _tls(parts, own))
        gateway = await enter(listen(app, gateway_settings, _gateway_entrance(own), connect))
        settings, local = await _for_callers(parts, "rpc", config.rpc, config.rpc.auth)
        rpc_ = rpc_app(parts, local=local)
        rpc = await enter(listen(rpc_, settings, _entrance(plain)))
        settings, local = await _for_callers(parts, "api", config.api, config.api.auth)
        api_ = cluster_app(parts, local=local)
        settings = replace(settings, socket=config.api.socket)
        api = await enter(listen(api_, settings, _entrance(error_response)))
        settings, local = await _for_callers(parts, "pinning", config.pinning, ALWAYS)
        pinning_ = pinning_app(parts, local=local)
        pinning = await enter(listen(pinning_, settings, _entrance(shapes.error)))
        meters = {"gateway": app[METER], "rpc": rpc_[METER], "api": api_[METER], "pinning": pinning_[METER]}
        metrics = await enter(_serve_metrics(parts, meters))
        try:
            yield Listeners(gateway, rpc, api, pinning, metrics)
        finally:  # all at once: each bears with its clients for some seconds
            open_ = (one for one in (gateway, rpc, api, pinning, metrics) if one is not None)
            await asyncio.gather(*(one.close() for one in open_))


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


async def _for_callers(
    parts: Parts, section: str, own: RpcConfig | ApiConfig | PinningConfig, auth: str
) -> tuple[ListenerSettings, bool]:
    """Of a listener that asks who calls; and whether only this machine reaches it. Raises OpenToOthers."""
    tls = _tls(parts, own)
    local = await check_listener(section, own.host, auth)
    if not local and tls is None:
        check_secrecy(section, own.host, own.tls)
    return ListenerSettings(section, own.host, own.port, tls=tls), local


def _tls(parts: Parts, own: GatewayConfig | RpcConfig | ApiConfig | PinningConfig) -> TlsFiles | None:
    """Paths that are not absolute are inside of the data folder."""
    if not own.ssl_cert_file:
        return None
    return TlsFiles(parts.folder / own.ssl_cert_file, parts.folder / own.ssl_key_file)


def _gateway_settings(own: GatewayConfig, tls: TlsFiles | None) -> ListenerSettings:
    return ListenerSettings(
        "gateway", own.host, own.port, own.send_timeout, own.idle_timeout, _NO_BODY_BYTES, tls=tls
    )


def _gateway_entrance(settings: GatewayConfig) -> Entrance:
    """Behind a trusted proxy all visitors have one address, so it has no share to keep to."""
    door = Door[BaseTransport](connection_limit(settings.max_connections), settings.client_connections)
    return Entrance(door, TrustedProxies(settings.trusted_proxies).trusts)


def _entrance(refuse: Refuse) -> Entrance:
    return Entrance(Door(MAX_CONNECTIONS, CLIENT_CONNECTIONS), refuse=refuse)
