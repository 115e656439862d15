"""ipfs-cluster's REST types as it prints them: field order, nulls and all (Go JSON of release 1.1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cluster.allocation.granting import PinPlan
from cluster.calls.member_gc import Collected
from cluster.calls.node_info import ConnectGraph, NodeInfo
from cluster.common.pin_glance import PinGlance
from cluster.interfaces import Member
from cluster.metrics.informers import Ping
from cluster.metrics.metric_store import Alert, Metric
from cluster.pin import GlobalPinInfo, GrantResult, Pin, PinInfo, PinMode, PinOptions, Progress
from node.http.go.gojson import Json, escaped_name, nanoseconds, rounded, sorted_map, time, without_empty
from node.parts import TrafficTotals

RPC_PROTOCOL = "/ipfscluster/1.0/rpc"

PingOf = Callable[[str], Ping]
"""What is known of a member's node on the open network, by the member's peer id."""


def pin_as_asked(pin: Pin) -> dict[str, Json]:
    """The answer to a POST: straight from memory, with fractions of a second and what the user gave."""
    options = pin.options
    return {
        **_factors(pin),
        "user_allocations": list(options.user_allocations) or None,
        "expire_at": time(options.expire_at),
        "metadata": sorted_map(options.metadata),
        "pin_update": _cid(options.pin_update),
        "origins": list(options.origins) or None,
        **_placement(pin),
        "timestamp": time(pin.created),
        **limits(options),
    }


def pin_as_stored(pin: Pin) -> dict[str, Json]:
    """The same pin read from the pinset: whole seconds, and what upstream's storage does not keep is null."""
    options = pin.options
    return {
        **_factors(pin),
        "user_allocations": None,
        "expire_at": time(options.expire_at, whole=True),
        "metadata": sorted_map(options.metadata) or None,
        "pin_update": _cid(options.pin_update),
        "origins": list(options.origins),
        **_placement(pin),
        "timestamp": time(pin.created, whole=True),
        **limits(options),
    }


def limits(options: PinOptions | PinGlance) -> dict[str, Json]:
    """Our own, behind all others: the limits of a pin, where it has any."""
    deadline = time(options.deadline) if options.deadline else ""
    return without_empty(
        {"max_size": options.max_size, "deadline": deadline, "attempts": options.attempts},
    )


def granted(granted: GrantResult) -> dict[str, Json]:
    """Our own: the pin, and in `was` what it was before, null where it is new."""
    was = granted.before
    return {**pin_as_asked(granted.pin), "was": pin_as_stored(was) if was else None}


def plan(plan: PinPlan, name_of: Callable[[str], str]) -> dict[str, Json]:
    """Our own: what would come of a wish, and in `members` the part of each."""
    members: list[Json] = [
        {
            "peer": one.peer,
            "name": name_of(one.peer),
            "holds": one.holds,
            "reason": one.reason,
            "metrics": dict(one.metrics),
        }
        for one in plan.members
    ]
    return {**granted(plan.result), "members": members}


def _factors(pin: Pin) -> dict[str, Json]:
    options = pin.options
    return {
        "replication_factor_min": options.replication_min,
        "replication_factor_max": options.replication_max,
        "name": options.name,
        "mode": options.mode.value,
        "shard_size": options.shard_size,
    }


def _placement(pin: Pin) -> dict[str, Json]:
    return {
        "cid": str(pin.cid),
        "type": "pin",
        "allocations": list(pin.allocations),
        "max_depth": -1 if pin.options.mode is PinMode.RECURSIVE else 0,
        "reference": None,
    }


def status(info: GlobalPinInfo, now: float, ping_of: PingOf) -> Json:
    """GlobalPinInfo; of a CID that is not pinned, every member says `unpinned` and `created` is now."""
    pin = info.pin
    return {
        "cid": str(info.cid),
        "name": pin.options.name if pin else "",
        "allocations": list(pin.allocations) if pin else [],
        "origins": list(pin.options.origins) if pin else None,
        "created": time(pin.created if pin else now),
        "metadata": (sorted_map(pin.options.metadata) or None) if pin else None,
        "peer_map": sorted_map({peer: peer_status(one, ping_of(peer)) for peer, one in info.peers.items()}),
        **(_asked(pin) if pin else {}),
    }


def _asked(pin: Pin) -> dict[str, Json]:
    """Behind upstream's fields, what else was asked of the pin."""
    options = pin.options
    return {
        "mode": options.mode.value,
        "replication_factor_min": options.replication_min,
        "replication_factor_max": options.replication_max,
        "expire_at": time(options.expire_at, whole=True),
        **limits(options),
    }


def peer_status(info: PinInfo, ping: Ping) -> dict[str, Json]:
    """PinInfoShort, and behind upstream's fields our own: how far the walk is, when the next try comes."""
    return {
        "peername": info.peer_name,
        **ipfs_names(ping),
        "status": info.status.value,
        "timestamp": time(info.since),
        "error": info.error,
        "attempt_count": info.attempts,
        "priority_pin": info.priority,
        **({"progress": progress_shape(info.progress)} if info.progress else {}),
        **({"retry_at": time(info.retry_at)} if info.retry_at else {}),
    }


def ipfs_names(ping: Ping) -> dict[str, Json]:
    """Where upstream names the Kubo of a member: its node on the open network, while there is one."""
    return without_empty({"ipfs_peer_id": ping.ipfs_id, "ipfs_peer_addresses": ping.ipfs_addresses})


def progress_shape(progress: Progress) -> Json:
    counts: dict[str, Json] = {
        "blocks": progress.blocks,
        "bytes": progress.bytes,
        "pending": progress.pending,
    }
    if not progress.pending:
        return counts
    left = progress.seconds_left
    told = {"remaining": progress.remaining, "seconds_left": None if left is None else round(left)}
    known = {name: number for name, number in told.items() if number is not None}
    return {**counts, "rate": round(progress.rate), **known}


def peer_id(node: NodeInfo) -> Json:
    """ID of one member. Our node on the open network has its place where upstream names its Kubo."""
    return {
        "id": node.id,
        "addresses": list(node.addresses),
        "cluster_peers": list(node.cluster_peers) or None,
        "cluster_peers_addresses": list(node.cluster_peer_addresses),
        "version": node.version,
        "commit": "",
        "rpc_protocol_version": "" if node.error else RPC_PROTOCOL,
        "error": node.error,
        "ipfs": {
            **without_empty({"id": node.ipfs.id}),
            "addresses": list(node.ipfs.addresses),
            "error": "",
        },
        "peername": node.peer_name,
    }


def added(
    name: str, cid: str | None, *, size: int = 0, received: int = 0, allocations: Sequence[str] = ()
) -> dict[str, Json]:
    """AddedOutput. `name_escaped` is ours: the exact name, where it is not UTF-8."""
    optional: dict[str, Json] = {
        "name_escaped": escaped_name(name),
        "bytes": received,
        "size": size,
        "allocations": list(allocations),
    }
    return {"name": name, "cid": cid, **without_empty(optional)}


def _cid(cid: object | None) -> str | None:
    return None if cid is None else str(cid)


def metric(metric: Metric, now: float) -> dict[str, Json]:
    """Metric; times are integer nanoseconds."""
    return {
        "name": metric.name,
        "peer": metric.peer,
        "value": metric.value,
        "expire": nanoseconds(metric.expire),
        "valid": metric.valid(now),
        "weight": metric.weight,
        "partitionable": metric.partitionable,
        "received_at": nanoseconds(metric.received_at),
    }


def alert(alert: Alert, now: float) -> Json:
    """Alert: the metric that ran out, and when that was noticed."""
    return {**metric(alert.metric, now), "triggered_at": time(alert.triggered_at)}


def traffic(one: TrafficTotals) -> dict[str, Json]:
    """One protocol of BandwidthByProtocol."""
    return {
        "total_in": one.total_in,
        "total_out": one.total_out,
        "rate_in": rounded(one.rate_in),
        "rate_out": rounded(one.rate_out),
    }


def repo_gc(member: Member, found: Collected) -> dict[str, Json]:
    """RepoGC. `more` is ours: removed blocks that are not named."""
    return {
        "peer": member.peer,
        "peername": member.name,
        "keys": [{"key": str(cid)} for cid in found.cids],
        **without_empty({"error": found.error, "more": found.more}),
    }


def graph(graph: ConnectGraph) -> Json:
    """ConnectGraph."""
    return {
        "cluster_id": graph.peer,
        "id_to_peername": sorted_map(graph.names),
        "ipfs_links": sorted_map({peer: list(links) for peer, links in graph.ipfs_links.items()}),
        "cluster_links": sorted_map({peer: list(links) for peer, links in graph.cluster_links.items()}),
        "cluster_trust_links": sorted_map(graph.trusted),
        "cluster_to_ipfs": sorted_map(graph.ipfs_ids),
    }
