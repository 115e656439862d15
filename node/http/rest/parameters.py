"""Which parameters the routes of the cluster REST API take; one that is not honoured is an error.

`POST /v1/invite?follower=true` would otherwise let in a member that may change everything.
"""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web
from aiohttp.typedefs import Handler

from node.http.errors import BadRequest
from node.http.go.query_values import check_repeated, check_text
from node.http.rest.json_errors import without_slash

_NONE: frozenset[str] = frozenset()
TAKES: Mapping[tuple[str, str], frozenset[str]] = {
    ("GET", "/allocations"): frozenset({"filter"}),
    ("GET", "/pins"): frozenset({"filter", "cids", "local"}),
    ("GET", "/pins/{cid}"): frozenset({"local"}),
    ("POST", "/pins/{cid}/recover"): frozenset({"local"}),
    ("POST", "/pins/recover"): frozenset({"local"}),
    ("POST", "/ipfs/gc"): frozenset({"local"}),
    ("POST", "/v1/invite"): frozenset({"role", "expires"}),
    ("GET", "/v1/events"): frozenset({"types", "cids", "since"}),
    ("POST", "/v1/connect"): frozenset({"address"}),
    ("GET", "/v1/audit"): frozenset(
        {"limit", "name", "owner", "cid", "method", "refused", "since", "follow"}
    ),
    ("POST", "/v1/tokens"): frozenset({"name", "scope", "owner"}),
    ("POST", "/v1/store/check"): frozenset({"cid", "repair"}),
    ("GET", "/v1/swarm/peers"): frozenset({"ledger"}),
    ("POST", "/v1/sync"): frozenset({"wait"}),
    ("POST", "/v1/compact"): frozenset({"keep_mib"}),
    ("POST", "/v1/state"): frozenset({"skip", "quiet", "dry-run", "replication-min", "replication-max"}),
    ("DELETE", "/v1/follows"): frozenset({"path"}),
    ("POST", "/v1/unpins"): frozenset({"skip", "quiet"}),
}
# They take pin options, `meta-…` among them, and look at all names by themselves.
LOOK_THEMSELVES = frozenset(
    {
        ("POST", "/add"),
        ("POST", "/pins/{cid}"),
        ("POST", "/pins/{namespace}/{path}"),
        ("POST", "/v1/cars"),
        ("POST", "/v1/follows"),
        ("POST", "/v1/pins"),
        ("GET", "/v1/pins"),
        ("GET", "/v1/pins/count"),
    }
)


@web.middleware
async def known_parameters(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Each one once, since two of one name contradict each other; in UTF-8; and none that is not read.

    Of a path that is one.
    """
    if (moved := without_slash(request)) is not None:
        return moved
    check_text(request.rel_url.raw_query_string)
    check_repeated(request.query)
    resource = request.match_info.route.resource
    if resource is not None:  # none: an unknown path, or a method that is not allowed
        _check_names(request, ("GET" if request.method == "HEAD" else request.method, resource.canonical))
    return await handler(request)


def _check_names(request: web.Request, route: tuple[str, str]) -> None:
    if route in LOOK_THEMSELVES:
        return
    for name in request.query:
        if name not in TAKES.get(route, _NONE):
            raise BadRequest(f'parameter "{name[:64]}" is unknown here: see docs/http.md')
