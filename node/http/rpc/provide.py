"""`provide/stat`: how telling the DHT of what is here stands, in Kubo's shape.

That of go-libp2p-kad-dht's `provider/stats`. What has no meaning here is zero: there are no workers.
"""

from __future__ import annotations

import time

from aiohttp import web

from node.http.app_key import PARTS
from node.http.go import gojson, query_values
from node.http.go.gojson import Json, nanoseconds
from node.http.rpc import answers
from node.providing.figures import ProvideStanding
from node.providing.region import COPIES
from node.providing.sweep import PERIOD
from node.routing.kad.streams import LAN, WAN
from node.routing.router import NotProvided


async def stat(request: web.Request) -> web.StreamResponse:
    """Of the public DHT; `lan`: of that of local networks. Raises NotProvided where none is told."""
    providing = request.app[PARTS].providing
    if providing is None:
        raise NotProvided(
            "this node tells the DHT nothing: see the settings routing.dht and provide.strategy"
        )
    wanted = LAN if query_values.boolean(request.query, "lan") else WAN
    (standing,) = [one for one in await providing.standing() if one.dht == wanted.name]
    return answers.one({"Sweep": _sweep(standing, time.time()), "Legacy": None, "FullRT": False})


def _sweep(standing: ProvideStanding, now: float) -> Json:
    figures = standing.figures
    status = "online" if standing.online else "disconnected"
    return {
        "closed": False,
        "connectivity": {"status": status, "since": gojson.time(standing.since)},
        "queues": {
            "pending_key_provides": standing.waiting,
            "pending_region_provides": 0,
            "pending_region_reprovides": standing.due if standing.hurried else 0,
        },
        "schedule": {
            "keys": standing.names,
            "regions": figures.regions,
            "avg_prefix_length": 0,
            "next_reprovide_at": gojson.time(standing.next_at or None),
            "next_reprovide_prefix": standing.next_prefix,
        },
        "workers": dict.fromkeys(_WORKERS, 0),
        "timing": {
            "uptime": nanoseconds(now - standing.since),
            "reprovides_interval": nanoseconds(PERIOD),
            "cycle_start": gojson.time(standing.cycle_began or None),
            "current_time_offset": nanoseconds(max(0.0, now - standing.cycle_began) % PERIOD),
            "max_reprovide_delay": nanoseconds(PERIOD / 10),
        },
        "operations": {"ongoing": _ongoing(standing), "past": _past(standing, now)},
        "network": {
            "peers": figures.servers,
            "reachable": figures.reached,
            "complete_keyspace_coverage": not standing.due,
            "avg_region_size": _share(figures.servers, figures.regions),
            "avg_holders": _share(figures.records, figures.names),
            "replication_factor": COPIES,
        },
    }


def _ongoing(standing: ProvideStanding) -> Json:
    return {
        "region_provides": 0,
        "key_provides": standing.figures.busy,
        "region_reprovides": 0,
        "key_reprovides": 0,
    }


def _past(standing: ProvideStanding, now: float) -> Json:
    figures, minutes = standing.figures, max(1.0, now - standing.since) / 60
    return {
        "records_provided": figures.records,
        "keys_provided": figures.names,
        "keys_failed": figures.failed,
        "keys_provided_per_minute": figures.names / minutes,
        "keys_reprovided_per_minute": figures.names / minutes,
        "reprovide_duration": nanoseconds(_share(figures.region_seconds, figures.regions)),
        "avg_keys_per_reprovide": _share(figures.names, figures.regions),
        "regions_reprovided_last_cycle": figures.regions,
        "slowest_reprovide_duration": nanoseconds(figures.slowest),  # beyond Kubo
    }


def _share(whole: float, parts: int) -> float:
    return whole / parts if parts else 0.0


_WORKERS = (
    *("max", "active", "active_periodic", "active_burst", "dedicated_periodic", "dedicated_burst"),
    *("queued_periodic", "queued_burst", "max_provide_conns_per_worker"),
)
