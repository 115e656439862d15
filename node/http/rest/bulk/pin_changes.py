"""What is another now of a pin, by the names that JSON has for its fields."""

from __future__ import annotations

from cluster.pin import Pin, PinOptions

_NAMES = {"replication_min": "replication_factor_min", "replication_max": "replication_factor_max"}


def changed_fields(before: Pin, now: Pin) -> list[str]:
    """In the order in which a pin is shown; the time of its making is none of them."""
    fields = [
        _NAMES.get(field, field)
        for field in PinOptions._fields
        if getattr(before.options, field) != getattr(now.options, field)
    ]
    return fields if before.allocations == now.allocations else [*fields, "allocations"]
