"""Names that are followed: what they lead to is pinned, and the last versions of it stay."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType

from blockstore.cid import CID
from blockstore.errors import BlockstoreError
from cluster.cluster import Cluster
from cluster.common.election import elected
from cluster.common.loops import steadily
from cluster.common.owners import RESERVED
from cluster.common.sorted_merge import closed_after
from cluster.errors import ClusterError
from cluster.interfaces import PinQuery
from cluster.pin import GrantAsk, GrantResult, PinOptions, Status, Wish
from node.errors import NodeError
from node.names.name import NamePath
from node.services.follow import KEY, Follow, FollowedVersion, versions_in

_MAX_PINS = 100_000  # that are versions of something

_log = logging.getLogger(__name__)

Resolve = Callable[[NamePath], Awaitable[CID]]
"""The block that a path of a name leads to. Raises NodeError, BlockstoreError, TimeoutError."""


class Following:
    """Of several members one that is elected looks after each name; all of them know of it by its pins."""

    def __init__(self, cluster: Cluster, resolve: Resolve, interval: float) -> None:
        """`interval`: seconds between looks where names lead."""
        self._cluster = cluster
        self._resolve = resolve
        self._interval = interval

    async def run(self) -> None:
        await steadily(self._cluster.context.guard, "following names", "the pinset", self._pass)

    async def begin(self, follow: Follow, wish: Wish) -> GrantResult:
        """Pin what the name leads to now, with these options, and follow it.

        Raises NodeError, BlockstoreError, ClusterError.
        """
        return await self._pin(follow, await self._resolve(follow.path), wish)

    async def end(self, path: NamePath) -> list[CID]:
        """Let go of all its versions; which those were. Raises ReadOnlyMember."""
        versions = (await self._versions()).get(str(path), [])
        return await self._let_go(versions)

    async def follows(self) -> Mapping[str, Sequence[FollowedVersion]]:
        """By the text of the path, the newest version first."""
        return await self._versions()

    async def _pass(self) -> None:
        await asyncio.sleep(self._interval)
        for versions in (await self._versions()).values():
            if self._is_ours(versions[0].follow):
                with self._cluster.context.guard.around("following", str(versions[0].follow.path)):
                    await self._look(versions)

    async def _look(self, versions: Sequence[FollowedVersion]) -> None:
        newest = versions[0]
        try:
            cid = await self._resolve(newest.follow.path)
            if cid != newest.pin.cid:
                await self._pin(newest.follow, cid, Wish(newest.pin.options))
            elif len(versions) > newest.follow.versions and await self._is_held(newest):
                await self._let_go(versions[newest.follow.versions :])
        except (NodeError, BlockstoreError, ClusterError, TimeoutError) as error:
            _log.info("%s is not followed just now: %s", newest.follow.path, error)

    async def _pin(self, follow: Follow, cid: CID, wish: Wish) -> GrantResult:
        """A pin that is there keeps its options, but for those that the wish names."""
        known = await self._cluster.pinset.get(cid)
        now = self._cluster.context.now()
        named = wish.named if known is None or wish.named is not None else frozenset[str]()
        options = _marked(wish.options, follow, now)
        asked = Wish(options, None if named is None else named | {"metadata"}, wish.shorten)
        (result,) = await self._cluster.grant_many([GrantAsk(cid, asked, created=now)])
        if isinstance(result, ClusterError):
            raise result
        _log.info("%s leads to %s now, which is pinned", follow.path, cid)
        return result

    async def _let_go(self, versions: Sequence[FollowedVersion]) -> list[CID]:
        """Pins that a user made too stay."""
        gone = [version.pin.cid for version in versions]
        if gone:
            await self._cluster.release_many(gone, versions[0].follow.owner)
        return gone

    async def _is_held(self, newest: FollowedVersion) -> bool:
        """Whether enough members have it, so that older versions may go."""
        info = await self._cluster.statuses.one(newest.pin.cid)
        holding = sum(one.status is Status.PINNED for one in info.peers.values())
        return holding >= max(1, newest.pin.options.replication_min)

    async def _versions(self) -> dict[str, list[FollowedVersion]]:
        found: dict[str, list[FollowedVersion]] = {}
        count = 0
        async with closed_after(self._cluster.pinset.pins(PinQuery(metadata_keys=(KEY,)))) as pins:
            async for pin in pins:
                for version in versions_in(pin):
                    found.setdefault(str(version.follow.path), []).append(version)
                if (count := count + 1) == _MAX_PINS:
                    break
        for versions in found.values():
            versions.sort(key=lambda version: version.since, reverse=True)
        return found

    def _is_ours(self, follow: Follow) -> bool:
        us, members = self._cluster.context.peer, self._cluster.members
        voters = {peer for peer in self._cluster.metrics.live() | {us} if members.is_trusted(peer)}
        return elected(follow.cid, voters) == us


def _marked(options: PinOptions, follow: Follow, since: float) -> PinOptions:
    """The options with what makes the pin a version, and nothing of what was one of another CID."""
    own = {key: value for key, value in options.metadata.items() if not key.startswith(RESERVED)}
    metadata = MappingProxyType({**own, **follow.metadata(since)})
    return options._replace(metadata=metadata, pin_update=None)
