"""What this API has beyond ipfs-cluster's, under /v1/."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from blockstore.common.throttle import BothWays, Passed
from blockstore.common.way_count import WayCount
from blockstore.upkeep import Moving
from cluster.interfaces import Role
from cluster.members.invite import LIFETIME, MAX_LIFETIME
from cluster.pinset.tables.migrator import MigrationProgress
from node.http.app_key import PARTS
from node.http.errors import BadRequest
from node.http.go import query_values
from node.http.go.gojson import Json
from node.http.rest import drains, events, follows, jobs, pinset_log, rebalance, swarm
from node.http.rest.bulk.routes import pin_lines, unpin_lines
from node.http.rest.cars import cars
from node.http.rest.gc import collect
from node.http.rest.json_errors import json_response
from node.http.rest.pin_list import count_pins, list_pins
from node.http.rest.state.routes import export_state, import_state
from node.http.rest.store import check as check_store
from node.parts import BulkState
from node.services.operator_watch import room_state
from node.services.process_io import bytes_written
from node.services.scrub import ScrubState


def add_routes(app: web.Application) -> None:
    app.router.add_post("/v1/invite", invite)
    app.router.add_get("/v1/pins", list_pins)
    app.router.add_get("/v1/pins/count", count_pins)
    app.router.add_post("/v1/pins", pin_lines)
    app.router.add_post("/v1/unpins", unpin_lines)
    app.router.add_get("/v1/state", export_state, allow_head=False)
    app.router.add_post("/v1/state", import_state)
    app.router.add_post("/v1/cars", cars)
    app.router.add_post("/v1/gc", collect)
    app.router.add_post("/v1/store/check", check_store)
    app.router.add_get("/v1/cluster", cluster)
    app.router.add_post("/v1/connect", connect)
    app.router.add_delete("/v1/members/{member}", remove)
    drains.add_routes(app)
    rebalance.add_routes(app)
    jobs.add_routes(app)
    app.router.add_get("/v1/sync", pinset_log.lags)
    app.router.add_post("/v1/sync", pinset_log.sync)
    app.router.add_post("/v1/compact", pinset_log.compact)
    app.router.add_get("/v1/usage", usage)
    app.router.add_get("/v1/health", health)
    app.router.add_get("/v1/stats", stats)
    events.add_routes(app)
    app.router.add_get("/v1/swarm/peers", swarm.peers)
    follows.add_routes(app)


async def invite(request: web.Request) -> web.Response:
    """`role` trusted (default) or follower, `expires` in seconds -> `{"token":"…"}`."""
    lifetime = query_values.integer(request.query, "expires", int(LIFETIME))
    if not 0 < lifetime <= MAX_LIFETIME:
        raise BadRequest(f"parameter expires invalid: 1 to {MAX_LIFETIME} seconds")
    try:
        role = Role(request.query.get("role") or Role.TRUSTED)
    except ValueError:
        raise BadRequest("parameter role invalid: trusted or follower") from None
    return json_response({"token": str(await request.app[PARTS].invite(role, lifetime))})


async def cluster(request: web.Request) -> web.Response:
    """Which cluster this is, and whether this node is a member of it; `problem` says why not.

    `bulk` names the members that blocks are fetched from in bulk, and counts what was refused there.
    """
    parts = request.app[PARTS]
    role = parts.cluster.members.role(parts.peer)
    return json_response(
        {
            "name": parts.pinset.genesis.name,
            "id": parts.pinset.genesis.cluster_id.hex(),
            "role": role.value if role else "",
            "peer": parts.peer,
            "problem": parts.pinset.standing.problem,
            "bulk": _bulk(parts.bulk),
        }
    )


def _bulk(bulk: BulkState | None) -> Json:
    if bulk is None:
        return {"reached": [], "refused": {}}
    return {"reached": sorted(bulk.reached()), "refused": dict(bulk.refused())}


async def connect(request: web.Request) -> web.Response:
    """`address` of a member, a multiaddress with /p2p/ -> `{"peer":"…","name":"…"}` once it answers."""
    address = request.query.get("address", "")
    if not address:
        raise BadRequest("parameter address missing: /ip4/<address>/tcp/<port>/p2p/<peer id> of a member")
    member = await request.app[PARTS].cluster.peers.connect(address)
    return json_response({"peer": member.peer, "name": member.name})


async def remove(request: web.Request) -> web.Response:
    """A member, by peer id or by a name that only one has -> `{"peer":"…","name":"…"}`."""
    member = await request.app[PARTS].cluster.peers.remove(request.match_info["member"])
    return json_response({"peer": member.peer, "name": member.name})


async def usage(request: web.Request) -> web.Response:
    """What the block store holds: counts, bytes, and the bytes that still fit."""
    found = await request.app[PARTS].store.usage()
    return json_response(
        {
            "blocks": found.blocks,
            "bytes": found.bytes,
            "quota": found.quota,
            "free": found.free,
            "damaged": found.damaged,
            "cached": found.cached,
            "held": found.held,
            "reserved": found.reserved,
        }
    )


async def stats(request: web.Request) -> web.Response:
    """What the store holds and takes on the disk, what was written for it, and what was moved to and fro."""
    store = request.app[PARTS].store
    found, stored, written = await store.usage(), store.put_counts.stored_bytes, bytes_written()
    return json_response(
        {
            "blocks": found.blocks,
            "bytes": found.bytes,
            "held": found.held,
            "cached": found.cached,
            "reserved": found.reserved,
            "damaged": found.damaged,
            "quota": found.quota,
            "free": found.free,
            "stored": stored,
            "written": written,
            "written_per_byte": round(written / stored, 3) if stored and written is not None else None,
            "bandwidth": {scope: _both_ways(ways) for scope, ways in request.app[PARTS].bandwidth},
            "fetched": _fetched(request.app[PARTS].ways),
        }
    )


def _fetched(ways: Mapping[str, WayCount]) -> Json:
    """What came by each way, and its share of the bytes."""
    total = sum(way.bytes for way in ways.values())
    return {
        name: {"blocks": way.blocks, "bytes": way.bytes, "share": round(way.bytes / max(total, 1), 4)}
        for name, way in ways.items()
    }


def _both_ways(ways: BothWays) -> Json:
    return {name: _passed(throttle.passed()) for name, throttle in ways._asdict().items()}


def _passed(passed: Passed) -> Json:
    return {"limit": passed.limit, "bytes": passed.total, "rate": round(passed.rate)}


async def health(request: web.Request) -> web.Response:
    """Unforeseen errors, and what the disk spoilt: all of it is in the log. How far a migration is."""
    parts = request.app[PARTS]
    usage = await parts.store.usage()
    return json_response(
        {
            "failures": parts.guard.failures,
            "damaged_blocks": usage.damaged,
            "storage": {"state": room_state(usage), "free": usage.free},
            "forked_logs": parts.pinset.log.forked_logs(),
            "paused_logs": parts.pinset.log.paused_logs(),
            "migration": _migration(parts.pinset.migration),
            "snapshot": _snapshot(parts.pinset.snapshot_progress),
            "scrub": _scrub(parts.scrub.state),
            "moving": _moving(await parts.store.moving()),
        }
    )


def _snapshot(share: float | None) -> Json:
    return None if share is None else {"percent": round(100 * share)}


def _moving(progress: Moving | None) -> Json:
    return None if progress is None else {"moved": progress.moved, "left": progress.left}


def _scrub(state: ScrubState) -> Json:
    return {
        "running": state.is_running,
        "begun": state.begun,
        "ended": state.ended,
        "due": state.due,
        "blocks": state.blocks,
        "bytes": state.bytes,
        "damaged": state.damaged,
        "unreadable": state.unreadable,
    }


def _migration(progress: MigrationProgress | None) -> Json:
    if progress is None:
        return None
    return {"version": progress.version, "done": progress.done, "rows": progress.rows}
