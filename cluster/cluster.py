"""What every face calls: decisions on pins are made here, all else is asked of the part that answers."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from blockstore.cid import CID
from cluster.allocation.pin_options import check_texts, merged, options_for_update, resolve_options
from cluster.allocation.placement import Placement
from cluster.calls.global_status import GlobalStatus
from cluster.calls.holders import Holders
from cluster.calls.peers import Peers
from cluster.common.keyed_lock import KeyedLock
from cluster.context import ClusterContext
from cluster.errors import NotPinned, QueueFull
from cluster.interfaces import Membership, PinsetReader
from cluster.metrics.metric_store import MetricStore
from cluster.pin import GrantResult, Pin, PinMode, PinOptions, Wish
from cluster.tracking.tracker import Tracker


@dataclass(frozen=True, slots=True)
class Cluster:
    """Made by open_cluster. Every write is durable here when it returns.

    `statuses` are those of all members, `tracking` is this one's; `peers` are members as they answer,
    `members` those on the list. `locks` are held by whatever here reads a pin and writes what follows.
    """

    context: ClusterContext
    statuses: GlobalStatus
    tracking: Tracker
    peers: Peers
    metrics: MetricStore
    holders: Holders
    placement: Placement
    locks: KeyedLock

    @property
    def pinset(self) -> PinsetReader:
        """The pins as this member knows them."""
        return self.context.pinset

    @property
    def members(self) -> Membership:
        return self.context.members

    async def get_pin(self, cid: CID) -> Pin:
        """Raises NotPinned."""
        pin = await self.context.pinset.get(cid)
        if pin is None:
            raise NotPinned
        return pin

    async def pin(
        self, cid: CID, options: PinOptions, *, priority_peers: Sequence[str] = (), size: int = 0
    ) -> Pin:
        """Add the pin, or replace all of its options. Raises what `grant` raises."""
        return (await self.grant(cid, Wish(options), priority_peers=priority_peers, size=size)).pin

    def check(self, wish: Wish) -> None:
        """Refuse what is granted for no CID, before the work that leads to one. Raises BadPinOptions."""
        check_texts(wish.options)
        if wish.named is None:
            resolve_options(wish.options, None, self.context.settings, self.context.now())

    async def grant(
        self, cid: CID, wish: Wish, *, priority_peers: Sequence[str] = (), size: int = 0
    ) -> GrantResult:
        """Add the pin, or change the options that the wish names; it is fetched in the background.

        `priority_peers` hold the data already; `size` is the DAG's bytes, 0 = unknown. An identical pin is
        not written again, but retried here. Raises BadPinOptions, NotEnoughPeers, ReadOnlyMember, and
        NotPinned when `pin_update` names no pin.
        """
        self.context.pinset.check_writable()
        async with self.locks.of(cid):
            existing = await self.context.pinset.get(cid)
            pin = await self._planned(cid, wish, existing, priority_peers, size)
            if existing is None or replace(pin, created=existing.created) != existing:
                await self.context.pinset.put(pin)
                return GrantResult(pin, existing)
        with suppress(QueueFull):  # the pin is as durable as before, and its retry comes by itself
            await self.tracking.recover(cid)
        return GrantResult(existing, existing)

    async def unpin(self, cid: CID) -> Pin:
        """The pin as it was. Raises NotPinned, ReadOnlyMember."""
        self.context.pinset.check_writable()
        async with self.locks.of(cid):
            try:
                return await self.context.pinset.remove(cid)
            except NotPinned:
                return await self._forget_unlisted(cid)

    async def _forget_unlisted(self, cid: CID) -> Pin:
        """A pin that only this node's own list has, after a loss. Raises NotPinned where that is not so."""
        local = await self.tracking.unlisted(cid)
        if local is None:
            raise NotPinned
        await self.tracking.forget(cid)
        mode = PinMode.RECURSIVE if local.recursive else PinMode.DIRECT
        return Pin(cid, PinOptions(mode=mode), (self.context.peer,), self.context.now(), local.bytes)

    async def _planned(
        self, cid: CID, wish: Wish, existing: Pin | None, priority: Sequence[str], size: int
    ) -> Pin:
        now, settings = self.context.now(), self.context.settings
        if wish.options.pin_update is not None:
            source = await self.get_pin(wish.options.pin_update)
            options = resolve_options(options_for_update(wish.options, source), existing, settings, now)
            return Pin(cid, options, source.allocations, now, size)
        options = resolve_options(merged(wish, existing, now), existing, settings, now)
        size = max(size, existing.size if existing else 0)
        current = existing.allocations if existing else ()
        holders = self.placement.place(options, current=current, priority=priority, size=size)
        return Pin(cid, options, holders, now, size)
