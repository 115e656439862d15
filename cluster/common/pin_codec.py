"""A pin as the value of its entry in the pinset: a dag-cbor map whose first key is the stamp."""

from __future__ import annotations

import math
from typing import NamedTuple, cast

from blockstore.cid import CID
from cluster.common.hybrid_clock import MAX_STAMP
from cluster.common.names import MAX_NAME
from cluster.common.wire import MAX_LIST, MAX_TEXT, MAX_VALUE_BYTES, Fields, Wire, decode, encode
from cluster.errors import BadPinValue, BadUpdate
from cluster.pin import Pin, PinMode, PinOptions

MAX_DEADLINE = 253_402_300_799
"""The last second of the year 9999: later ones have no form in RFC 3339."""

_MAX_CID = 512  # bytes
_LONGEST_STAMP = len(encode({"s": MAX_STAMP})) - 1  # bytes
_STAMP = encode({"s": 0})[1:-1]  # the key, which is the shortest, so that it stands first
_NO_TEXTS: list[Wire] = []
_PLAIN = frozenset(("s", "created", "alloc", "size", "name", "min", "max"))  # all that most pins say


class PinValue(NamedTuple):
    """What an entry of the pinset says: everything of a Pin but its CID, and when it was said (HLC stamp)."""

    stamp: int
    options: PinOptions
    allocations: tuple[str, ...]
    created: float
    size: int = 0

    def stamped(self, stamp: int) -> PinValue:
        return PinValue(stamp, self.options, self.allocations, self.created, self.size)

    def pin(self, cid: CID) -> Pin:
        return Pin(cid, self.options, self.allocations, self.created, self.size)


class EncodedPin(NamedTuple):
    """A pin that every member will read, encoded but for its stamp, which is known when it is written."""

    value: PinValue
    body: bytes

    @property
    def size(self) -> int:
        """Bytes of the entry's value at most."""
        return len(self.body) + _LONGEST_STAMP

    def stamped(self, stamp: int) -> bytes:
        """The entry's value."""
        if not stamp:
            return self.body
        head = bytes([self.body[0] + 1])
        return head + _STAMP + encode([stamp])[1:] + self.body[1:]


def encode_pin(pin: Pin) -> EncodedPin:
    """Fields at their default are left out. Raises BadPinValue for a pin that members would refuse."""
    try:
        fields = _fields(pin)
        encoded = EncodedPin(_plain_value(pin) if _is_plain(pin) else _value(Fields(fields)), encode(fields))
        if encoded.size > MAX_VALUE_BYTES:
            raise BadUpdate(f"{encoded.size} bytes are above the limit of {MAX_VALUE_BYTES}")
    except (BadUpdate, ValueError, TypeError) as error:
        raise BadPinValue(f"cannot pin {pin.cid}: {error}") from None
    return encoded


def encode_value(value: PinValue) -> bytes:
    """An entry's value with the stamp that it has. Raises BadPinValue for one that members would refuse."""
    encoded = EncodedPin(value, encode(_fields(value)))
    if encoded.size > MAX_VALUE_BYTES:
        raise BadPinValue(f"{encoded.size} bytes are above the limit of {MAX_VALUE_BYTES}")
    return encoded.stamped(value.stamp)


def decode_pin(data: bytes) -> PinValue:
    """Raises BadUpdate. Keys that are unknown here are left to newer versions."""
    value = decode(data, MAX_VALUE_BYTES)
    return (_read_plain(value) if isinstance(value, dict) else None) or _value(Fields(value))


def _read_plain(fields: dict[str, Wire]) -> PinValue | None:
    """What most pins say, read at once; None where there is more, or what is wrong: `_value` names it."""
    get = fields.get
    stamp, created, size = get("s", 0), get("created", 0.0), get("size", 0)
    name, low, high, allocations = get("name", ""), get("min", 0), get("max", 0), get("alloc", _NO_TEXTS)
    if (
        fields.keys() <= _PLAIN
        and type(stamp) is type(size) is type(low) is type(high) is int
        and type(created) is float
        and type(name) is str
        and type(allocations) is list
        and 0 <= stamp <= MAX_STAMP
        and 0 <= size <= MAX_STAMP
        and -1 <= low <= MAX_LIST
        and -1 <= high <= MAX_LIST
        and len(name) <= MAX_NAME
        and math.isfinite(created)
        and _are_texts(allocations)
    ):
        options = PinOptions(name, replication_min=low, replication_max=high)
        return PinValue(stamp, options, tuple(cast("list[str]", allocations)), created, size)
    return None


def _are_texts(values: list[Wire]) -> bool:
    """As Fields.texts has them."""
    return len(values) <= MAX_LIST and all(type(value) is str and len(value) <= MAX_TEXT for value in values)


def _is_plain(pin: Pin) -> bool:
    """Whether it says no more than most do, all of it within the limits that `_value` keeps."""
    name, mode, low, high, users, end, metadata, update, origins, shard_size, most, deadline, tries = (
        pin.options
    )
    return (
        not (users or metadata or origins or shard_size or most or deadline or tries)
        and end is None
        and update is None
        and mode is PinMode.RECURSIVE
        and len(name) <= MAX_NAME
        and -1 <= low <= MAX_LIST
        and -1 <= high <= MAX_LIST
        and 0 <= pin.size <= MAX_STAMP
        and math.isfinite(pin.created)
        and len(pin.allocations) <= MAX_LIST
        and all(len(peer) <= MAX_TEXT for peer in pin.allocations)
    )


def _plain_value(pin: Pin) -> PinValue:
    return PinValue(0, pin.options, pin.allocations, float(pin.created), pin.size)


def _fields(pin: Pin | PinValue) -> dict[str, Wire]:
    options = pin.options
    fields: dict[str, object] = {
        "created": float(pin.created),
        "alloc": pin.allocations and [*pin.allocations],
        "size": pin.size,
        "name": options.name,
        "mode": "" if options.mode is PinMode.RECURSIVE else str(options.mode),
        "min": options.replication_min,
        "max": options.replication_max,
        "to": options.user_allocations and [*options.user_allocations],
        "meta": options.metadata and {**options.metadata},
        "update": options.pin_update and bytes(options.pin_update),
        "origins": options.origins and [*options.origins],
        "shard": options.shard_size,
        "bytes": options.max_size,
        "deadline": options.deadline,
        "tries": options.attempts,
    }
    present = cast("dict[str, Wire]", {key: field for key, field in fields.items() if field})
    if options.expire_at is not None:
        present["expire"] = float(options.expire_at)
    return present


def _value(fields: Fields) -> PinValue:
    return PinValue(
        stamp=fields.integer("s", 0),
        options=_options(fields),
        allocations=fields.texts("alloc") if "alloc" in fields else (),
        created=fields.number("created", 0),
        size=fields.integer("size", 0),
    )


def _options(fields: Fields) -> PinOptions:
    try:
        mode = PinMode(fields.text("mode", PinMode.RECURSIVE.value))
        update = CID.decode(fields.data("update", _MAX_CID)) if "update" in fields else None
    except ValueError as error:
        raise BadUpdate(f"bad pin options: {error}") from None
    return PinOptions(
        name=fields.text("name", "", MAX_NAME),
        mode=mode,
        replication_min=fields.integer("min", 0, low=-1, high=MAX_LIST),
        replication_max=fields.integer("max", 0, low=-1, high=MAX_LIST),
        user_allocations=fields.texts("to"),
        expire_at=fields.number("expire") if "expire" in fields else None,
        metadata=fields.mapping("meta"),
        pin_update=update,
        origins=fields.texts("origins"),
        shard_size=fields.integer("shard", 0),
        max_size=fields.integer("bytes", 0),
        deadline=fields.integer("deadline", 0, high=MAX_DEADLINE),
        attempts=fields.integer("tries", 0),
    )
