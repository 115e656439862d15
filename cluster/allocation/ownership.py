"""What owners do to a pin: claim it, share it without changing it for the others, let go of it."""

from __future__ import annotations

from cluster.common.owners import CLUSTER, held_for, holding, mark_of, marked, marks_of
from cluster.errors import NotOwned
from cluster.pin import GrantAsk, Pin, PinMode, PinOptions, Wish

_MAX_ORIGINS = 32  # of all owners together


def claimed(options: PinOptions, existing: Pin | None, ask: GrantAsk) -> PinOptions:
    """The options with the marks of all who keep the pin from now on. A pin that is moved in has its own."""
    before = holding(existing.options.metadata) if existing else frozenset()
    moved = marks_of(ask.wish.options.metadata) if ask.created is not None else frozenset()
    own = moved or frozenset((mark_of(ask.wish.owner, ask.wish.requests_at),))
    return options._replace(metadata=marked(options.metadata, before | own))


def unclaimed(options: PinOptions) -> PinOptions:
    """Without marks: no wish gives them."""
    return options._replace(metadata=marked(options.metadata, (CLUSTER,)))


def is_shared(existing: Pin, wish: Wish) -> bool:
    """Whether the pin is kept for others than whose wish this is: then it is not changed for them.

    The cluster itself changes every pin, but not by a request.
    """
    metadata = existing.options.metadata
    if wish.requests_at:
        return holding(metadata) != {mark_of(wish.owner, wish.requests_at)}
    return bool(wish.owner) and holding(metadata) != held_for(metadata, wish.owner)


def shared(options: PinOptions, existing: Pin) -> PinOptions:
    """What another owner's wish makes of a pin that is there: kept longer, and whole, from more places.

    Of its limits the wider ones hold: no owner's pin fails by those of another.
    """
    before = existing.options
    mode = PinMode.RECURSIVE if PinMode.RECURSIVE in (before.mode, options.mode) else before.mode
    origins = tuple(dict.fromkeys((*before.origins, *options.origins)))[:_MAX_ORIGINS]
    return before._replace(
        mode=mode,
        expire_at=_later(before.expire_at, options.expire_at),
        origins=origins,
        max_size=_wider(before.max_size, options.max_size),
        deadline=_wider(before.deadline, options.deadline),
        attempts=_wider(before.attempts, options.attempts),
    )


def _later(one: float | None, other: float | None) -> float | None:
    """None is never."""
    return None if one is None or other is None else max(one, other)


def _wider(one: int, other: int) -> int:
    """0 is no limit."""
    return max(one, other) if one and other else 0


def released(pin: Pin, owner: str, requests_at: str = "") -> Pin | None:
    """The pin as the others keep it; None where there are none. `requests_at` as in `mark_of`; empty = all.

    Raises NotOwned.
    """
    metadata = pin.options.metadata
    own = held_for(metadata, owner)
    going = frozenset(mark for mark in own if not requests_at or mark.endswith(f"/{requests_at}"))
    if not going:
        raise NotOwned(pin.cid, owner)
    left = holding(metadata) - going
    return pin._replace(options=pin.options._replace(metadata=marked(metadata, left))) if left else None
