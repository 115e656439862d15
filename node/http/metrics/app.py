"""The listener `metrics`: /metrics, read afresh at each scrape. Nothing in it walks over pins or blocks."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from aiohttp import web
from aiohttp.typedefs import Handler

from blockstore.errors import BlockstoreError
from node.access.rights import Right
from node.http.admin.callers import ALWAYS, CALLERS, Callers
from node.http.app_key import PARTS
from node.http.connection import mark_busy
from node.http.metrics.cluster_series import cluster_readings
from node.http.metrics.event_series import event_readings
from node.http.metrics.network_series import listener_readings, network_readings
from node.http.metrics.series import Reading, counter, gauge
from node.http.metrics.store_series import store_readings
from node.http.metrics.upstream_series import upstream_readings
from node.http.request_meter import RequestMeter
from node.parts import Parts
from node.version import VERSION

METERS = web.AppKey("meters", Mapping[str, RequestMeter])

_BUILD = gauge("pinfold_build_info", "1, for the version that runs", "version")
_FAILURES = counter(
    "pinfold_failures_total", "Unforeseen errors since the start: each is a bug, and in the log"
)
_ANSWERS = gauge("pinfold_store_answers", "1 while the block store can be read")


def metrics_app(parts: Parts, meters: Mapping[str, RequestMeter], *, local: bool = True) -> web.Application:
    """`meters` by the name of their listener; `local`: only this machine reaches this one."""
    app = web.Application(middlewares=[mark_busy, _known_callers_only])
    settings = parts.config.metrics
    app[CALLERS] = Callers(parts.credentials, settings.host, always=settings.auth == ALWAYS, local=local)
    app[PARTS] = parts
    app[METERS] = meters
    app.router.add_get("/metrics", metrics)
    return app


@web.middleware
async def _known_callers_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    if (refused := request.app[CALLERS].refusal(request, Right.READ)) is not None:
        return web.Response(status=refused.status, text=f"{refused.text}\n", headers=refused.headers)
    return await handler(request)


async def metrics(request: web.Request) -> web.Response:
    """In the form that Accept asks for: Prometheus' text, or OpenMetrics."""
    readings = await _readings(request.app[PARTS], request.app[METERS])
    accept = request.headers.get("Accept", "")
    body, kind = await asyncio.to_thread(_exposition, readings, accept)
    return web.Response(body=body, headers={"Content-Type": kind})


async def _readings(parts: Parts, meters: Mapping[str, RequestMeter]) -> list[Reading]:
    return [
        _BUILD.by({(VERSION,): 1}),
        _FAILURES.now(parts.guard.failures),
        *await upstream_readings(parts),
        *await cluster_readings(parts),
        *await _store(parts),
        *network_readings(parts),
        *event_readings(parts),
        *listener_readings(meters),
    ]


async def _store(parts: Parts) -> list[Reading]:
    """A disk that does not answer hides nothing else."""
    try:
        return [_ANSWERS.now(1), *await store_readings(parts)]
    except (BlockstoreError, OSError):
        return [_ANSWERS.now(0)]


def _exposition(readings: Sequence[Reading], accept: str) -> tuple[bytes, str]:
    from node.http.metrics.exposition import exposition  # late: see there

    return exposition(readings, accept)
