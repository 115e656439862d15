"""How the node and its cluster are: links, metrics, alerts, traffic."""

from __future__ import annotations

import time

from aiohttp import web

from cluster.metrics.metric_store import Alert, Metric
from node.http.app_key import PARTS
from node.http.rest import shapes
from node.http.rest.json_errors import JSON_HEADERS, json_response
from node.version import CLUSTER_VERSION


def add_routes(app: web.Application) -> None:
    app.router.add_get("/version", version)
    app.router.add_get("/health", health)
    app.router.add_get("/health/graph", health_graph)
    app.router.add_get("/health/alerts", alerts)
    app.router.add_get("/health/bandwidth", bandwidth)
    app.router.add_get("/monitor/metrics", metric_names)
    app.router.add_get("/monitor/metrics/{name}", metrics)


async def version(request: web.Request) -> web.Response:
    """The release, in the form of ipfs-cluster's."""
    return json_response({"version": CLUSTER_VERSION})


async def health(request: web.Request) -> web.Response:
    """204: this node answers."""
    return web.Response(status=204, headers=JSON_HEADERS)


async def health_graph(request: web.Request) -> web.Response:
    """Who is connected to whom."""
    return json_response(shapes.graph(await request.app[PARTS].cluster.peers.graph()))


async def alerts(request: web.Request) -> web.Response:
    """Metrics that ran out, newest first."""
    found: list[Alert] = request.app[PARTS].cluster.metrics.alerts()
    return json_response([shapes.alert(one, time.time()) for one in found])


async def metric_names(request: web.Request) -> web.Response:
    """Names of metrics, in order."""
    return json_response(request.app[PARTS].cluster.metrics.names())


async def metrics(request: web.Request) -> web.Response:
    """The latest of that name of each member, where it has not run out."""
    found: list[Metric] = request.app[PARTS].cluster.metrics.valid(request.match_info["name"])
    return json_response([shapes.metric(one, time.time()) for one in found])


async def bandwidth(request: web.Request) -> web.Response:
    """Between members, by protocol; bulk is one of them."""
    traffic = request.app[PARTS].traffic()
    return json_response({protocol: shapes.traffic(one) for protocol, one in sorted(traffic.items())})
