"""Pin options in a query string, by ipfs-cluster's names.

Unlike upstream, an option that does not parse, or that no pin has, ends the request: there the 400 is written
and the pin made all the same, or the option is passed over.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Collection
from types import MappingProxyType

from blockstore.cid import CID
from blockstore.errors import BadCid
from cluster.allocation.pin_options import check_texts
from cluster.common.owners import RESERVED
from cluster.common.pin_codec import MAX_DEADLINE
from cluster.errors import BadReplication
from cluster.pin import EVERYWHERE, PinMode, PinOptions, Wish
from node.http.errors import BadRequest
from node.http.go import multiaddresses, query_values
from node.http.go.durations import parse_duration, parse_time
from node.http.go.query_values import Query

NEVER = "never"
"""Our own value of `expire-in` and `deadline`: for ever, where a pin that exists has an end."""

_PLAIN = frozenset({"name", "keep", "shorten"})
_MAX_PEERS = 1024
_MAX_SIZE = (1 << 53) - 1  # bytes: what every reader of JSON reads exactly
_MAX_ATTEMPTS = 1_000_000
_DATE = re.compile(r"\d{4}-")
_METADATA = "meta-"
_MODES = {"": PinMode.RECURSIVE, **{mode.value: mode for mode in PinMode}}

# The parameters, and the fields of PinOptions that each of them names.
_NAMED: dict[str, tuple[str, ...]] = {
    "name": ("name",),
    "mode": ("mode",),
    "replication": ("replication_min", "replication_max"),
    "replication-min": ("replication_min",),
    "replication-max": ("replication_max",),
    "user-allocations": ("user_allocations",),
    "expire-at": ("expire_at",),
    "expire-in": ("expire_at",),
    "pin-update": ("pin_update",),
    "origins": ("origins",),
    "shard-size": ("shard_size",),
    "max-size": ("max_size",),
    "deadline": ("deadline",),
    "attempts": ("attempts",),
    "keep": (),
    "shorten": (),
}

NAMES = frozenset(_NAMED)
"""Beside `meta-KEY` for any key."""


def pin_wish(query: Query, now: Callable[[], float] = time.time) -> Wish:
    """All options as the query has them; with our own `keep=true`, only those that it names.

    Raises BadRequest, also for a parameter that is none of these, and BadPinValue.
    """
    options = pin_options(query, now)
    shorten = query_values.boolean(query, "shorten")
    if not query_values.boolean(query, "keep"):
        if shorten:
            raise BadRequest("parameter shorten says something only with keep=true")
        return Wish(options)
    return Wish(options, frozenset(field for name in query for field in _NAMED.get(name, ())), shorten)


def check_names(query: Query, others: Collection[str] = ()) -> None:
    """Raises BadRequest for a parameter that is neither a pin option nor one of `others`."""
    for name in query:
        if name.startswith(_METADATA):
            check_key(name.removeprefix(_METADATA))
        elif name not in _NAMED and name not in others:
            raise BadRequest(f'parameter "{name[:64]}" is unknown here: see the pin options in docs/http.md')


def check_key(key: str) -> None:
    """Raises BadRequest for metadata that is for this node to write: for whom a pin is kept, say."""
    if key.startswith(RESERVED):
        raise BadRequest(f'metadata key "{key[:64]}" is not yours to give: no key begins with {RESERVED}')


def pin_options(query: Query, now: Callable[[], float] = time.time) -> PinOptions:
    """Raises BadRequest, BadPinValue."""
    if all(name in _PLAIN or name.startswith(_METADATA) for name in query):  # as in most requests
        options = PinOptions(name=query.get("name", ""), metadata=_metadata(query))
    else:
        options = _any_options(dict(query), now)
    check_texts(options)
    return options


def _any_options(query: Query, now: Callable[[], float]) -> PinOptions:
    low, high = _factors(query)
    return PinOptions(
        name=query.get("name", ""),
        mode=_mode(query),
        replication_min=low,
        replication_max=high,
        user_allocations=_peers(query),
        expire_at=_expiry(query, now()),
        metadata=_metadata(query),
        pin_update=_update(query),
        origins=_origins(query),
        shard_size=_size(query, "shard-size"),
        max_size=_size(query, "max-size"),
        deadline=_deadline(query, now()),
        attempts=_attempts(query),
    )


def _mode(query: Query) -> PinMode:
    mode = _MODES.get(query.get("mode", ""))
    if mode is None:
        raise BadRequest("parameter mode invalid: recursive or direct")
    return mode


def _factors(query: Query) -> tuple[int, int]:
    both, low, high = (_factor(query, f"replication{which}") for which in ("", "-min", "-max"))
    low, high = both or low, both or high
    if low and high and ((low == EVERYWHERE) != (high == EVERYWHERE) or low > high):
        raise BadReplication(
            f"replication {low} to {high}: needs minimum <= maximum, or -1 (every member) for both"
        )
    return low, high


def _factor(query: Query, name: str) -> int:
    value = query_values.integer(query, name)
    if not EVERYWHERE <= value <= _MAX_PEERS:
        raise BadRequest(f"parameter {name} invalid")
    return value


def _size(query: Query, name: str) -> int:
    size = query_values.integer(query, name)
    if not 0 <= size <= _MAX_SIZE:
        raise BadRequest(f"parameter {name} invalid")
    return size


def _attempts(query: Query) -> int:
    attempts = query_values.integer(query, "attempts")
    if not 0 <= attempts <= _MAX_ATTEMPTS:
        raise BadRequest(f"parameter attempts invalid: 1 to {_MAX_ATTEMPTS}, or 0 for any number")
    return attempts


def _deadline(query: Query, now: float) -> int:
    """A time, or a duration from now on, in whole seconds."""
    text = query.get("deadline", "")
    if text in ("", NEVER):
        return 0
    try:
        end = parse_time(text) if _DATE.match(text) else now + parse_duration(text)
    except ValueError as error:
        raise BadRequest(f"deadline cannot be parsed as a time or a duration: {error}") from None
    if end <= now:
        raise BadRequest("deadline is in the past: nothing would be tried")
    if end > MAX_DEADLINE:
        raise BadRequest("deadline is behind the year 9999")
    return math.ceil(end)


def _peers(query: Query) -> tuple[str, ...]:
    """Upstream drops ids that do not parse without a word; a pin that lands elsewhere is worse than a 400."""
    peers = query_values.comma_list(query.get("user-allocations", ""))
    if len(peers) > _MAX_PEERS:
        raise BadRequest("parameter user-allocations names too many peers")
    return tuple(query_values.peer_id(peer) for peer in peers)


def _expiry(query: Query, now: float) -> float | None:
    """`expire-at` wins over `expire-in`; both must be sound."""
    after, at = _expire_in(query.get("expire-in", "")), _expire_at(query.get("expire-at", ""), now)
    return at if at is not None or after is None else now + after


def _expire_at(text: str, now: float) -> float | None:
    try:
        end = parse_time(text) if text else None
    except ValueError as error:
        raise BadRequest(f"expire-at cannot be parsed: {error}") from None
    if end is not None and end <= now:
        raise BadRequest("expire-at is in the past: the pin would be removed at once")
    return end


def _expire_in(text: str) -> float | None:
    try:
        seconds = None if text in ("", NEVER) else parse_duration(text)
    except ValueError as error:
        raise BadRequest(f"expire-in cannot be parsed: {error}") from None
    if seconds is not None and seconds < 1:
        raise BadRequest("expire-in duration too short")
    return seconds


def _metadata(query: Query) -> MappingProxyType[str, str]:
    found = {key.removeprefix(_METADATA): value for key, value in query.items() if key.startswith(_METADATA)}
    if "" in found:
        raise BadRequest("a metadata entry needs a key: meta-KEY=VALUE")
    return MappingProxyType(dict(sorted(found.items())))


def _update(query: Query) -> CID | None:
    text = query.get("pin-update")
    try:
        return CID.parse(text) if text else None
    except BadCid as error:
        raise BadRequest(f"error decoding update option parameter: {error}") from None


def _origins(query: Query) -> tuple[str, ...]:
    origins = query_values.comma_list(query.get("origins", ""))
    if len(origins) > _MAX_PEERS:
        raise BadRequest("parameter origins names too many addresses")
    for origin in origins:
        multiaddresses.check(origin)
    return tuple(origins)
