"""A pin as a line of an ipfs-cluster state export (`api.Pin`, release 1.1), in the order of its fields.

Beside what ipfs-cluster writes, times have their fractions of a second, and `user_allocations` are there: its
import takes both, and ours gets the same pin back.
"""

from __future__ import annotations

from blockstore.cid import CID
from cluster.common.pin_codec import decode_pin
from cluster.pin import Pin, PinMode
from node.http.go import gojson

_NANOSECONDS = 9  # digits; a float of this century has seven


def state_line(cid: bytes, value: bytes) -> bytes:
    """Of a row of the pinset. Raises BadUpdate, BadCid."""
    return gojson.encode(_fields(decode_pin(value).pin(CID.decode(cid))))


def _fields(pin: Pin) -> dict[str, gojson.Json]:
    options = pin.options
    return {
        "replication_factor_min": options.replication_min,
        "replication_factor_max": options.replication_max,
        "name": options.name,
        "mode": options.mode.value,
        "shard_size": 0,
        "user_allocations": list(options.user_allocations) or None,
        "expire_at": exact_time(options.expire_at),
        "metadata": gojson.sorted_map(options.metadata) or None,
        "pin_update": str(options.pin_update) if options.pin_update else None,
        "origins": list(options.origins),
        "cid": str(pin.cid),
        "type": "pin",
        "allocations": list(pin.allocations),
        "max_depth": -1 if options.mode is PinMode.RECURSIVE else 0,
        "reference": None,
        "timestamp": exact_time(pin.created),
    }


def exact_time(seconds: float | None) -> str:
    """RFC 3339, from which the same number is read again; Go's zero time for None."""
    if seconds is None:
        return gojson.ZERO_TIME
    whole, _, fraction = f"{seconds:.{_NANOSECONDS}f}".rstrip("0").partition(".")
    text = gojson.time(float(whole))
    return f"{text[:-1]}.{fraction}Z" if fraction and text != gojson.ZERO_TIME else text
