"""Options of a pin: what a wish leaves of those it has, defaults filled in, contradictions refused."""

from __future__ import annotations

from types import MappingProxyType

from cluster.errors import BadPinOptions, BadPinValue, BadReplication
from cluster.pin import EVERYWHERE, Pin, PinMode, PinOptions, Wish
from cluster.settings import ClusterSettings

MAX_PIN_NAME = 255  # bytes of UTF-8, as Kubo has it
MAX_METADATA = 64  # entries
MAX_METADATA_BYTES = 12 * 1024  # keys and values together; a whole pin has 16 KiB (wire.MAX_VALUE_BYTES)


def resolve_options(
    options: PinOptions, existing: Pin | None, settings: ClusterSettings, now: float
) -> PinOptions:
    """The same options with the cluster's defaults for replication 0. `now`: seconds since 1970.

    Raises BadPinOptions.
    """
    check_texts(options)
    if options.expire_at is not None and options.expire_at <= now:
        raise BadPinValue("pin.ExpireAt set before current time: the pin would be removed at once")
    if options.mode is PinMode.DIRECT and existing and existing.options.mode is PinMode.RECURSIVE:
        raise BadPinOptions("already pinned recursively: unpin it first, then pin it as direct")
    return _replicated(options, settings)


def check_size(options: PinOptions, size: int) -> None:
    """`size`: bytes of the DAG, 0 = unknown. Raises BadPinValue for one above the limit of the pin."""
    if 0 < options.max_size < size:
        raise BadPinValue(f"the DAG has {size} bytes, and its pin is limited to {options.max_size}")


def check_texts(options: PinOptions) -> None:
    """Name and metadata within their limits. Raises BadPinValue."""
    if (length := _bytes(options.name)) > MAX_PIN_NAME:
        raise BadPinValue(f"pin name has {length} bytes; at most {MAX_PIN_NAME} are kept")
    size = sum(_bytes(text) for entry in options.metadata.items() for text in entry)
    if len(options.metadata) > MAX_METADATA or size > MAX_METADATA_BYTES:
        raise BadPinValue(f"metadata is above {MAX_METADATA} entries or {MAX_METADATA_BYTES} bytes")


def merged(wish: Wish, existing: Pin | None, now: float) -> PinOptions:
    """The options that are to hold from now on: the wish's, and the existing pin's where it names none."""
    if existing is None or wish.named is None:
        return wish.options
    before = existing.options
    stay = {name: getattr(before, name) for name in PinOptions._fields if name not in wish.named}
    metadata = {**before.metadata, **wish.options.metadata}
    return wish.options._replace(
        **stay | {"metadata": MappingProxyType(metadata), "expire_at": _end(wish, wish.named, before, now)},
    )


def options_for_update(options: PinOptions, source: Pin) -> PinOptions:
    """Options of a pin that takes the place of `source`: its own, with a new name, end or limit where given.

    A deadline is of the content that it was given for: it does not go over.
    """
    return source.options._replace(
        name=options.name or source.options.name,
        expire_at=options.expire_at or source.options.expire_at,
        pin_update=source.cid,
        max_size=options.max_size or source.options.max_size,
        deadline=options.deadline,
        attempts=options.attempts or source.options.attempts,
    )


def _end(wish: Wish, named: frozenset[str], before: PinOptions, now: float) -> float | None:
    """The later of both ends. One that has passed is no promise any more: its pin is about to go."""
    asked, end = wish.options.expire_at, before.expire_at
    if end is not None and end <= now:
        return asked if "expire_at" in named else None
    if "expire_at" not in named:
        return end
    if wish.shorten:
        return asked
    return None if asked is None or end is None else max(asked, end)


def _bytes(text: str) -> int:
    return len(text.encode(errors="replace"))


def _replicated(options: PinOptions, settings: ClusterSettings) -> PinOptions:
    low = options.replication_min or settings.replication_min
    high = options.replication_max or settings.replication_max
    if (low == EVERYWHERE) != (high == EVERYWHERE):
        raise BadReplication(f"replication {low} to {high}: -1 (every member) must be both, or neither")
    if low != EVERYWHERE and not 1 <= low <= high:
        raise BadReplication(f"replication {low} to {high}: needs 1 <= minimum <= maximum, or -1 for both")
    return options._replace(replication_min=low, replication_max=high)
