"""What goes over the networks: Bitswap, bulk between members, bytes by protocol; what listeners answer."""

from __future__ import annotations

from collections.abc import Mapping

from bitswap.statistics import Statistics
from node.http.metrics.series import Buckets, Reading, Samples, Series, counter, gauge, histogram
from node.http.request_meter import BOUNDS, RequestMeter
from node.parts import BulkState, Parts, TrafficTotals

_PEERS = gauge("pinfold_bitswap_peers", "Peers that have a ledger here", "network")
_WANTS = gauge("pinfold_bitswap_wants", "Blocks that are wanted now", "network")
_QUEUED = gauge("pinfold_bitswap_queued_bytes", "Bytes of blocks that are queued for peers", "network")
_TRAFFIC = counter("pinfold_members_bytes_total", "Bytes between members", "protocol", "direction")
_REACHED = gauge("pinfold_bulk_members", "Members that blocks are fetched from in bulk")
_REFUSED = counter("pinfold_bulk_refused_total", "What was refused in bulk between members", "reason")
_CONNECTED = gauge("pinfold_swarm_peers", "Peers that are connected on the open network")
_REQUESTS = counter("pinfold_http_requests_total", "Requests that were answered", "listener", "status")
_SECONDS = histogram("pinfold_http_request_seconds", "Time from request to the end of its answer", "listener")


def _of_bitswap(name: str, text: str) -> Series:
    return counter(f"pinfold_bitswap_{name}_total", text, "network")


_COUNTED: Mapping[str, Series] = {
    "blocks_received": _of_bitswap("received_blocks", "Blocks that were wanted and came"),
    "bytes_received": _of_bitswap("received_bytes", "Bytes of these"),
    "duplicate_blocks": _of_bitswap("duplicate_blocks", "Blocks that came again"),
    "unsolicited_blocks": _of_bitswap("unsolicited_blocks", "Blocks that nobody had asked for"),
    "blocks_sent": _of_bitswap("sent_blocks", "Blocks that peers were sent"),
    "bytes_sent": _of_bitswap("sent_bytes", "Bytes of these"),
    "bad_messages": _of_bitswap("bad_messages", "Messages that could not be read"),
    "failed_sends": _of_bitswap("failed_sends", "Messages that could not be sent"),
}


def network_readings(parts: Parts) -> list[Reading]:
    swarm = parts.swarm
    return [
        *_bitswap({name: bitswap.statistics() for name, bitswap in parts.bitswap.items()}),
        _TRAFFIC.by(_traffic(parts.traffic())),
        *_bulk(parts.bulk),
        _CONNECTED.now(len(swarm.peers()) if swarm is not None else 0),
    ]


def _traffic(protocols: Mapping[str, TrafficTotals]) -> Samples:
    found: Samples = {}
    for name, one in protocols.items():
        found[name, "in"], found[name, "out"] = one.total_in, one.total_out
    return found


def _bitswap(networks: Mapping[str, Statistics]) -> list[Reading]:
    queued = {name: sum(peer.queued_bytes for peer in one.peers) for name, one in networks.items()}
    return [
        _PEERS.by({(name,): len(one.peers) for name, one in networks.items()}),
        _WANTS.by({(name,): one.wants for name, one in networks.items()}),
        _QUEUED.by({(name,): size for name, size in queued.items()}),
        *(
            series.by({(name,): getattr(one, field) for name, one in networks.items()})
            for field, series in _COUNTED.items()
        ),
    ]


def _bulk(bulk: BulkState | None) -> list[Reading]:
    """None: the node is offline."""
    reached, refused = (bulk.reached(), bulk.refused()) if bulk else (frozenset(), {})
    return [
        _REACHED.now(len(reached)),
        _REFUSED.by({(reason,): count for reason, count in refused.items()}),
    ]


def listener_readings(meters: Mapping[str, RequestMeter]) -> list[Reading]:
    """By the names of the listeners."""
    statuses: Samples = {}
    seconds: dict[tuple[str, ...], Buckets] = {}
    for name, one in meters.items():
        statuses |= {(name, str(status)): count for status, count in one.statuses.items()}
        seconds[name,] = Buckets(BOUNDS, tuple(one.buckets), one.seconds)
    return [_REQUESTS.by(statuses), Reading(_SECONDS, seconds)]
