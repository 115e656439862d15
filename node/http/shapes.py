"""ipfs-cluster's REST types as it prints them: field order, nulls and all (Go JSON of release 1.1)."""

from __future__ import annotations

from collections.abc import Sequence

from cluster.pin import GlobalPinInfo, Pin, PinInfo, PinMode, Progress
from node.http.gojson import Json, sorted_map, time, without_empty

RPC_PROTOCOL = "/ipfscluster/1.0/rpc"


def pin_as_asked(pin: Pin) -> Json:
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
    }


def pin_as_stored(pin: Pin) -> Json:
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
    }


def _factors(pin: Pin) -> dict[str, Json]:
    options = pin.options
    return {
        "replication_factor_min": options.replication_min,
        "replication_factor_max": options.replication_max,
        "name": options.name,
        "mode": options.mode.value,
        "shard_size": 0,
    }


def _placement(pin: Pin) -> dict[str, Json]:
    return {
        "cid": str(pin.cid),
        "type": "pin",
        "allocations": list(pin.allocations),
        "max_depth": -1 if pin.options.mode is PinMode.RECURSIVE else 0,
        "reference": None,
    }


def status(info: GlobalPinInfo, now: float) -> Json:
    """GlobalPinInfo; of a CID that is not pinned, every member says `unpinned` and `created` is now."""
    pin = info.pin
    return {
        "cid": str(info.cid),
        "name": pin.options.name if pin else "",
        "allocations": list(pin.allocations) if pin else [],
        "origins": list(pin.options.origins) if pin else [],
        "created": time(pin.created if pin else now),
        "metadata": (sorted_map(pin.options.metadata) or None) if pin else None,
        "peer_map": sorted_map({peer: peer_status(one) for peer, one in info.peers.items()}),
    }


def peer_status(info: PinInfo) -> Json:
    """PinInfoShort, and behind upstream's fields our own: how far the walk is, when the next try comes."""
    return {
        "peername": info.peer_name,
        "status": info.status.value,
        "timestamp": time(info.since),
        "error": info.error,
        "attempt_count": info.attempts,
        "priority_pin": info.priority,
        **({"progress": _progress(info.progress)} if info.progress else {}),
        **({"retry_at": time(info.retry_at)} if info.retry_at else {}),
    }


def _progress(progress: Progress) -> Json:
    return {"blocks": progress.blocks, "bytes": progress.bytes, "pending": progress.pending}


def peer_id(
    *,
    peer: str,
    name: str,
    version: str,
    addresses: Sequence[str] = (),
    members: Sequence[str] | None = None,
    member_addresses: Sequence[str] = (),
    swarm_addresses: Sequence[str] = (),
    error: str = "",
) -> Json:
    """ID of one member. `members` is None for one that did not answer; the swarm is its `ipfs` side."""
    return {
        "id": peer,
        "addresses": list(addresses),
        "cluster_peers": sorted(members) if members is not None else None,
        "cluster_peers_addresses": list(member_addresses),
        "version": version,
        "commit": "",
        "rpc_protocol_version": RPC_PROTOCOL if not error else "",
        "error": error,
        "ipfs": {"id": peer, "addresses": list(swarm_addresses), "error": ""},
        "peername": name,
    }


def added(
    name: str, cid: str | None, *, size: int = 0, received: int = 0, allocations: Sequence[str] = ()
) -> Json:
    """AddedOutput."""
    optional: dict[str, Json] = {"bytes": received, "size": size, "allocations": list(allocations)}
    return {"name": name, "cid": cid, **without_empty(optional)}


def _cid(cid: object | None) -> str | None:
    return None if cid is None else str(cid)
