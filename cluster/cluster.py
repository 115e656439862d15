"""What every face calls: decisions on pins are made here, all else is asked of the part that answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from blockstore.cid import CID
from blockstore.common.group_commit import GroupCommit
from cluster.allocation.granting import Granting, PinPlan
from cluster.allocation.pin_options import check_texts, resolve_options
from cluster.allocation.repin import Repinner
from cluster.calls.global_status import GlobalStatus
from cluster.calls.holders import Holders
from cluster.calls.peers import Peers
from cluster.common.keyed_lock import KeyedLock
from cluster.context import ClusterContext
from cluster.errors import ClusterError, NotPinned
from cluster.interfaces import Membership, PinsetReader
from cluster.metrics.informers import Ping, read_ping
from cluster.metrics.metric_store import PING, MetricStore
from cluster.moving.drains import Drains
from cluster.moving.rebalancing import Rebalancing
from cluster.pin import GrantAsk, GrantResult, Pin, PinMode, PinOptions, Wish
from cluster.tracking.tracker import Tracker


@dataclass(frozen=True, slots=True)
class Cluster:
    """Made by open_cluster. Every write is durable here when it returns.

    `statuses` are those of all members, `tracking` is this one's; `peers` are members as they answer,
    `members` those on the list; `drains` has pins go from one to others, `rebalancing`
    from full ones to others, `repinner` from one that is gone. `locks` are held by whatever here reads a pin
    and writes what follows.
    Single requests go together in `grants` and `removals`.
    """

    context: ClusterContext
    statuses: GlobalStatus
    tracking: Tracker
    peers: Peers
    metrics: MetricStore
    holders: Holders
    drains: Drains
    rebalancing: Rebalancing
    repinner: Repinner
    locks: KeyedLock
    granting: Granting
    grants: GroupCommit[GrantAsk, GrantResult]
    removals: GroupCommit[CID, Pin]

    @property
    def pinset(self) -> PinsetReader:
        """The pins as this member knows them."""
        return self.context.pinset

    @property
    def members(self) -> Membership:
        return self.context.members

    def ping_of(self, peer: str) -> Ping:
        """What a member last said of its node on the open network; empty before it said anything."""
        latest = self.metrics.latest(peer, PING)
        return Ping() if latest is None else read_ping(latest.value)

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

        What is asked for while others are written goes together with what else waits. An identical pin is
        not written again, but retried here. Raises BadPinOptions, NotEnoughPeers, ReadOnlyMember, and
        NotPinned when `pin_update` names no pin.
        """
        self.context.pinset.check_writable()
        result = await self.grants.ask(GrantAsk(cid, wish, tuple(priority_peers), size))
        await self._retry([result])
        return result

    async def grant_many(self, asks: Sequence[GrantAsk]) -> list[GrantResult | ClusterError]:
        """`grant` of each, in order, durable together; what it would raise in place of a result.

        Asks for one CID are granted as if one came after the other. Raises ReadOnlyMember for all of them,
        and what the disk raises: then it is not known which of them are pinned.
        """
        results = await self.granting.grant_many(asks)
        await self._retry(results)
        return results

    async def plan_many(self, asks: Sequence[GrantAsk]) -> list[GrantResult | ClusterError]:
        """What `grant_many` would make of each by itself; nothing is written."""
        return await self.granting.plan_many(asks)

    async def plan(self, cid: CID, wish: Wish) -> PinPlan:
        """What `grant` would do now, and why; nothing is written. Raises what `grant` raises."""
        self.context.pinset.check_writable()
        return await self.granting.plan(GrantAsk(cid, wish))

    async def unpin(self, cid: CID) -> Pin:
        """The pin as it was. Raises NotPinned, ReadOnlyMember."""
        self.context.pinset.check_writable()
        try:
            return await self.removals.ask(cid)
        except NotPinned:
            return await self._forget_unlisted(cid)

    async def unpin_many(self, cids: Sequence[CID]) -> list[Pin | ClusterError]:
        """`unpin` of each, in order, durable together; what it would raise in place of a pin.

        Raises ReadOnlyMember for all of them, and what the disk raises.
        """
        found = await self.granting.remove_many(cids)
        return [
            await self._unlisted_or(pin, cid) if isinstance(pin, NotPinned) else pin
            for cid, pin in zip(cids, found, strict=True)
        ]

    async def release(self, cid: CID, owner: str, requests_at: str = "") -> Pin:
        """Have an owner let go of a pin, which goes when no other keeps it; the pin as it was.

        `requests_at`: only what is kept for the requests at that member. Raises NotPinned, NotOwned,
        ReadOnlyMember.
        """
        (found,) = await self.granting.release_many([cid], owner, requests_at)
        if isinstance(found, ClusterError):
            raise found
        return found

    async def release_many(self, cids: Sequence[CID], owner: str) -> list[Pin | ClusterError]:
        """`release` of each, in order, durable together; what it would raise in place of a pin."""
        return await self.granting.release_many(cids, owner)

    async def finish(self) -> None:
        """Wait for writes whose callers have gone away."""
        await self.grants.finish()
        await self.removals.finish()

    async def _retry(self, results: Sequence[GrantResult | ClusterError]) -> None:
        """Those that are pinned as they were: each is as durable as before, and retried if it failed."""
        kept = [
            result.pin.cid
            for result in results
            if isinstance(result, GrantResult) and result.pin is result.before
        ]
        if kept:
            await self.tracking.recover_many(kept)

    async def _unlisted_or(self, error: NotPinned, cid: CID) -> Pin | ClusterError:
        try:
            return await self._forget_unlisted(cid)
        except NotPinned:
            return error

    async def _forget_unlisted(self, cid: CID) -> Pin:
        """A pin that only this node's own list has, after a loss. Raises NotPinned where that is not so."""
        async with self.locks.of(cid):
            local = await self.tracking.unlisted(cid)
            if local is None:
                raise NotPinned
            await self.tracking.forget(cid)
        mode = PinMode.RECURSIVE if local.recursive else PinMode.DIRECT
        return Pin(cid, PinOptions(mode=mode), (self.context.peer,), self.context.now(), local.bytes)
