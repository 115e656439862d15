"""Whether a pin is one that a query means, decided from the pin itself."""

from __future__ import annotations

from cluster.interfaces import PinQuery
from cluster.pin import Pin
from cluster.pinset.tables.rows import whole_second


def matches(pin: Pin, query: PinQuery) -> bool:
    """What the indexes answer where they can."""
    return (
        (query.after is None or bytes(pin.cid) > bytes(query.after))
        and _named(pin.options.name, query)
        and (query.held_by is None or pin.held_by(query.held_by))
        and (query.allocated_to is None or (not pin.everywhere and query.allocated_to in pin.allocations))
        and _within(pin.options.expire_at, query.expires_after, query.expires_before)
        and _within(whole_second(pin.created), query.created_after, query.created_before)
        and all(pin.options.metadata.get(key) == value for key, value in query.metadata)
        and all(key in pin.options.metadata for key in query.metadata_keys)
    )


def _named(name: str, query: PinQuery) -> bool:
    return query.name in (None, name) and name.startswith(query.name_prefix) and query.name_contains in name


def _within(time: float | None, after: float | None, before: float | None) -> bool:
    if after is None and before is None:
        return True
    return time is not None and (after is None or time >= after) and (before is None or time < before)
