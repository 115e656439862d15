"""Options of a pin: defaults filled in, contradictions refused (ipfs-cluster's checks of a pin)."""

from __future__ import annotations

from dataclasses import replace

from cluster.errors import BadPinOptions
from cluster.pin import EVERYWHERE, Pin, PinMode, PinOptions
from cluster.settings import ClusterSettings

MAX_NAME = 255  # characters, as Kubo and the Pinning Service have it


def settled(options: PinOptions, existing: Pin | None, settings: ClusterSettings, now: float) -> PinOptions:
    """The same wishes with the cluster's defaults for replication 0. Raises BadPinOptions."""
    if len(options.name) > MAX_NAME:
        raise BadPinOptions(f"pin name has {len(options.name)} characters; at most {MAX_NAME} are kept")
    if options.expire_at is not None and options.expire_at <= now:
        raise BadPinOptions("pin.ExpireAt set before current time: the pin would be removed at once")
    if options.mode is PinMode.DIRECT and existing and existing.options.mode is PinMode.RECURSIVE:
        raise BadPinOptions("already pinned recursively: unpin it first, then pin it as direct")
    return _replicated(options, settings)


def updated(options: PinOptions, source: Pin) -> PinOptions:
    """Options of a pin that takes the place of `source`: its own, with a new name or expiry where given."""
    return replace(
        source.options,
        name=options.name or source.options.name,
        expire_at=options.expire_at or source.options.expire_at,
        pin_update=source.cid,
    )


def _replicated(options: PinOptions, settings: ClusterSettings) -> PinOptions:
    low = options.replication_min or settings.replication_min
    high = options.replication_max or settings.replication_max
    if (low == EVERYWHERE) != (high == EVERYWHERE):
        raise BadPinOptions(f"replication {low} to {high}: -1 (every member) must be both, or neither")
    if low != EVERYWHERE and not 1 <= low <= high:
        raise BadPinOptions(f"replication {low} to {high}: needs 1 <= minimum <= maximum, or -1 for both")
    return replace(options, replication_min=low, replication_max=high)
