"""What listings show of a pin, read from its stored value without making a Pin: a tenth of the time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import libipld

from cluster.errors import BadUpdate
from cluster.interfaces import StoredPins
from cluster.pin import EVERYWHERE

_NONE: Sequence[str] = ()
_EMPTY: Mapping[str, str] = {}


class PinGlance(NamedTuple):
    """As of PinValue (pin_codec), which every value was read as before it was stored here."""

    name: str
    mode: str
    replication_min: int
    replication_max: int
    allocations: Sequence[str]
    origins: Sequence[str]
    metadata: Mapping[str, str]
    created: float
    expire_at: float | None
    max_size: int = 0
    deadline: int = 0
    attempts: int = 0

    def held_by(self, peer: str) -> bool:
        """As of Pin."""
        return self.replication_max == EVERYWHERE or peer in self.allocations


def glance(value: bytes) -> PinGlance:
    """Raises BadUpdate for what is no such value; of what it lists, types are not looked at."""
    try:
        fields = libipld.decode_dag_cbor(value)
        get = fields.get
        return PinGlance(
            get("name", ""),
            get("mode", "recursive"),
            get("min", 0),
            get("max", 0),
            get("alloc", _NONE),
            get("origins", _NONE),
            get("meta", _EMPTY),
            get("created", 0.0),
            get("expire"),
            get("bytes", 0),
            get("deadline", 0),
            get("tries", 0),
        )
    except (ValueError, AttributeError) as error:
        raise BadUpdate(f"not the value of a pin: {error}") from None


def glances(stored: StoredPins, until: bytes) -> tuple[dict[bytes, PinGlance], dict[bytes, BadUpdate]]:
    """Those up to there, in order, and why the others cannot be read."""
    pins: dict[bytes, PinGlance] = {}
    odd: dict[bytes, BadUpdate] = {}
    for key, value in zip(stored.cids, stored.values, strict=True):
        if key > until:
            break
        try:
            pins[key] = glance(value)
        except BadUpdate as error:
            odd[key] = BadUpdate(f"the pin of {key.hex()} cannot be read here: {error}")
    return pins, odd
