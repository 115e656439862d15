"""/health/started, /health/live and /health/ready: what supervisors of services ask, Kubernetes' probes."""

from __future__ import annotations

from aiohttp import web

from node.http.app_key import PARTS
from node.http.rest.json_errors import JSON_HEADERS, error_response
from node.parts import Parts


def add_routes(app: web.Application) -> None:
    app.router.add_get("/health/started", started)
    app.router.add_get("/health/live", started)
    app.router.add_get("/health/ready", ready)


async def started(request: web.Request) -> web.Response:
    """204: a node that answers has opened its store and its pinset."""
    return web.Response(status=204, headers=JSON_HEADERS)


async def ready(request: web.Request) -> web.Response:
    """204 where requests can be served as they should be; 503 says why not."""
    reason = await _not_ready(request.app[PARTS])
    return error_response(503, reason) if reason else web.Response(status=204, headers=JSON_HEADERS)


async def _not_ready(parts: Parts) -> str:
    """Asks the block store too: a disk that does not answer is found here. Empty where nothing is wrong."""
    if problem := parts.pinset.standing.problem:
        return problem
    if (share := parts.pinset.snapshot_progress) is not None:
        return f"the pinset of another member is still coming: {round(100 * share)} %"
    try:
        await parts.store.usage()
    except OSError as error:
        return f"the block store does not answer: {error}"
    return ""
