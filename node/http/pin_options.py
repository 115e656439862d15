"""Pin options in a query string, by ipfs-cluster's names.

Unlike upstream, an option that does not parse ends the request: there the 400 is written and the pin made
all the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import MappingProxyType

from blockstore.cid import CID
from blockstore.errors import BadCid
from cluster.pin import PinMode, PinOptions
from node.http import query as read
from node.http.durations import parse_duration, parse_time
from node.http.errors import BadRequest
from node.http.query import Query

MAX_NAME = 255
MAX_METADATA = 64  # entries
MAX_METADATA_BYTES = 16 * 1024  # keys and values together
_MAX_PEERS = 1024
_METADATA = "meta-"


def pin_options(query: Query, now: Callable[[], float] = time.time) -> PinOptions:
    """Raises BadRequest."""
    both = _factor(query, "replication")
    return PinOptions(
        name=_name(query),
        mode=PinMode.DIRECT if query.get("mode") == "direct" else PinMode.RECURSIVE,
        replication_min=both or _factor(query, "replication-min"),
        replication_max=both or _factor(query, "replication-max"),
        user_allocations=_peers(query),
        expire_at=_expiry(query, now()),
        metadata=_metadata(query),
        pin_update=_update(query),
        origins=_origins(query),
    )


def _name(query: Query) -> str:
    name = query.get("name", "")
    if len(name.encode(errors="replace")) > MAX_NAME:
        raise BadRequest(f"parameter name is longer than {MAX_NAME} bytes")
    return name


def _factor(query: Query, name: str) -> int:
    value = read.integer(query, name)
    if not -1 <= value <= _MAX_PEERS:
        raise BadRequest(f"parameter {name} invalid")
    return value


def _peers(query: Query) -> tuple[str, ...]:
    """Upstream drops ids that do not parse without a word; a pin that lands elsewhere is worse than a 400."""
    peers = read.comma_list(query.get("user-allocations", ""))
    if len(peers) > _MAX_PEERS:
        raise BadRequest("parameter user-allocations names too many peers")
    return tuple(read.peer_id(peer) for peer in peers)


def _expiry(query: Query, now: float) -> float | None:
    if text := query.get("expire-at"):
        try:
            return parse_time(text)
        except ValueError as error:
            raise BadRequest(f"expire-at cannot be parsed: {error}") from None
    if text := query.get("expire-in"):
        try:
            seconds = parse_duration(text)
        except ValueError as error:
            raise BadRequest(f"expire-in cannot be parsed: {error}") from None
        if seconds < 1:
            raise BadRequest("expire-in duration too short")
        return now + seconds
    return None


def _metadata(query: Query) -> MappingProxyType[str, str]:
    found = {key.removeprefix(_METADATA): value for key, value in query.items() if key.startswith(_METADATA)}
    size = sum(len(text.encode(errors="replace")) for item in found.items() for text in item)
    if len(found) > MAX_METADATA or size > MAX_METADATA_BYTES:
        raise BadRequest(f"metadata is above {MAX_METADATA} entries or {MAX_METADATA_BYTES} bytes")
    return MappingProxyType({key: value for key, value in sorted(found.items()) if key})


def _update(query: Query) -> CID | None:
    text = query.get("pin-update")
    try:
        return CID.parse(text) if text else None
    except BadCid as error:
        raise BadRequest(f"error decoding update option parameter: {error}") from None


def _origins(query: Query) -> tuple[str, ...]:
    origins = read.comma_list(query.get("origins", ""))
    for origin in origins:
        if not origin.startswith("/") or not origin.isprintable():
            raise BadRequest(f"error decoding multiaddress: {origin[:256]}")
        if "/p2p/" not in origin:
            raise BadRequest(f"multiaddress does not contain peer ID: {origin[:256]}")
    return tuple(origins[:_MAX_PEERS])
