"""A pinset in memory, the same at every member."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

from blockstore.cid import CID
from cluster.common.pin_codec import encode_pin
from cluster.errors import BadCursor, ClusterError, NotPinned, ReadOnlyMember
from cluster.interfaces import EVERY_PIN, PinChange, PinOrder, PinPage, PinQuery, StoredPins
from cluster.pin import KeyRange, Pin


@dataclass
class SharedPins:
    """The pinset, the same at every member; a `deaf` member misses events and has to look."""

    pins: dict[CID, Pin] = field(default_factory=dict)
    removed: set[CID] = field(default_factory=set)
    views: list[PinsetView] = field(default_factory=list)
    writes: int = 0
    odd: set[CID] = field(default_factory=set)  # writing these meets a bug

    def changed(self, cid: CID) -> None:
        self.writes += 1
        for view in self.views:
            view.tell(PinChange(cid, self.pins.get(cid)))


class PinsetView:
    """One member's reader and writer; a follower's is `read_only`."""

    def __init__(self, shared: SharedPins, read_only: bool = False) -> None:
        self._shared = shared
        self._read_only = read_only
        self._handlers: list[Callable[[Sequence[PinChange]], None]] = []
        self.deaf = False
        shared.views.append(self)

    def forget_handlers(self) -> None:
        """The process that listened has ended."""
        self._handlers.clear()

    def tell(self, change: PinChange) -> None:
        if not self.deaf:
            for handler in self._handlers:
                handler([change])

    async def get(self, cid: CID) -> Pin | None:
        return self.known(cid)

    def known(self, cid: CID) -> Pin | None:
        return self._shared.pins.get(cid)

    async def get_many(self, cids: Sequence[CID]) -> list[Pin | None]:
        return [self._shared.pins.get(cid) for cid in cids]

    async def pins(self, query: PinQuery = EVERY_PIN) -> AsyncIterator[Pin]:
        for _, pin in self._ordered(query):
            yield pin

    def _ordered(self, query: PinQuery) -> list[tuple[tuple[str | float, bytes], Pin]]:
        pins = (pin for pin in self._shared.pins.values() if matches(pin, query) and is_ordered(pin, query))
        return sorted(((place(pin, query), pin) for pin in pins), key=lambda one: one[0])

    async def page(self, query: PinQuery, cursor: str | None = None, limit: int = 1000) -> PinPage:
        found = self._ordered(query)
        if cursor is not None:
            try:
                mark, key, cid = json.loads(cursor)
            except ValueError:
                raise BadCursor("no cursor") from None
            if mark != repr(query):
                raise BadCursor("of another query")
            found = [one for one in found if one[0] > (key, bytes.fromhex(cid))]
        (key, last), more = found[:limit][-1][0] if found else ("", b""), len(found) > limit
        following = json.dumps([repr(query), key, last.hex()]) if more else None
        return PinPage(tuple(pin for _, pin in found[:limit]), following)

    async def stored(self, keys: KeyRange, limit: int) -> StoredPins:
        found = {bytes(cid): pin for cid, pin in self._shared.pins.items()}
        cids = [key for key in sorted(found) if keys.after < key <= keys.until][:limit]
        values = [encode_pin(found[key]).stamped(1) for key in cids]
        return StoredPins(cids, values, cids[-1] if len(cids) == limit else keys.until)

    async def count(self, query: PinQuery = EVERY_PIN) -> int:
        return len([pin async for pin in self.pins(query)])

    async def was_removed(self, cid: CID) -> bool:
        return cid in self._shared.removed and cid not in self._shared.pins

    async def were_removed(self, cids: Sequence[CID]) -> list[bool]:
        return [await self.was_removed(cid) for cid in cids]

    def on_changes(self, handler: Callable[[Sequence[PinChange]], None]) -> None:
        self._handlers.append(handler)

    def check_writable(self) -> None:
        if self._read_only:
            raise ReadOnlyMember("this node follows the cluster: pin at a trusted member")

    async def put(self, pin: Pin) -> None:
        self._check(pin.cid)
        self._shared.pins[pin.cid] = pin
        self._shared.changed(pin.cid)

    async def put_many(self, pins: Sequence[Pin]) -> list[ClusterError | None]:
        for pin in pins:
            self._check(pin.cid)
        for pin in pins:
            await self.put(pin)
        return [None] * len(pins)

    async def put_new_many(self, pins: Sequence[Pin]) -> list[ClusterError | Pin | None]:
        there = await self.get_many([pin.cid for pin in pins])
        await self.put_many([pin for pin, old in zip(pins, there, strict=True) if old is None])
        return list(there)

    async def remove_many(self, cids: Sequence[CID]) -> list[Pin | ClusterError]:
        for cid in cids:
            self._check(cid)
        return [await self._removed(cid) for cid in cids]

    async def _removed(self, cid: CID) -> Pin | ClusterError:
        try:
            return await self.remove(cid)
        except NotPinned as error:
            return error

    async def remove(self, cid: CID) -> Pin:
        self._check(cid)
        pin = self._shared.pins.pop(cid, None)
        if pin is None:
            raise NotPinned
        self._shared.removed.add(cid)
        self._shared.changed(cid)
        return pin

    def _check(self, cid: CID) -> None:
        self.check_writable()
        if cid in self._shared.odd:
            raise ZeroDivisionError


def place(pin: Pin, query: PinQuery) -> tuple[str | float, bytes]:
    keys: dict[PinOrder | None, str | float] = {
        PinOrder.NAME: pin.options.name,
        PinOrder.CREATED: float(int(pin.created)),
        PinOrder.EXPIRY: pin.options.expire_at or 0.0,
    }
    return keys.get(query.order, ""), bytes(pin.cid)


def is_ordered(pin: Pin, query: PinQuery) -> bool:
    return query.order is not PinOrder.EXPIRY or pin.options.expire_at is not None


def matches(pin: Pin, query: PinQuery) -> bool:
    options, metadata = pin.options, dict(pin.options.metadata)
    return (
        (query.after is None or bytes(pin.cid) > bytes(query.after))
        and query.name in (None, options.name)
        and options.name.startswith(query.name_prefix)
        and query.name_contains in options.name
        and (query.held_by is None or pin.held_by(query.held_by))
        and (query.allocated_to is None or (query.allocated_to in pin.allocations and not pin.everywhere))
        and is_within(options.expire_at, query.expires_after, query.expires_before)
        and is_within(float(int(pin.created)), query.created_after, query.created_before)
        and all(metadata.get(key) == value for key, value in query.metadata)
        and set(query.metadata_keys) <= set(metadata)
    )


def is_within(time: float | None, after: float | None, before: float | None) -> bool:
    if time is None:
        return after is None is before
    return (after is None or time >= after) and (before is None or time < before)
