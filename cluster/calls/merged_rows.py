"""Rows of statuses, of which there are few among all pins: the members' pages, merged CID by CID."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

from blockstore.cid import CID
from cluster.common.sorted_merge import closed_after, merge
from cluster.interfaces import Member, PinQuery, PinsetReader
from cluster.pin import GlobalPinInfo, Pin, PinInfo
from cluster.ports import CallFailed, PeerOffline
from cluster.tracking.status import StatusPage

_GROUP = 256  # CIDs whose pins are read together

AskPage = Callable[[Member, CID | None], Awaitable[StatusPage]]
"""One member's rows behind a CID. Raises CallFailed, PeerOffline."""


class MergedRows:
    """One for all listings; `failure` is what is shown of a member that fails."""

    def __init__(self, pinset: PinsetReader, failure: Callable[[Member, Exception], PinInfo]) -> None:
        self._pinset = pinset
        self._failure = failure

    async def of(
        self, members: Sequence[Member], ask: AskPage, list_failed: bool
    ) -> AsyncIterator[GlobalPinInfo]:
        """CIDs that some member lists, in order; with `list_failed`, what a failed one is to hold too."""
        failed: dict[str, PinInfo] = {}
        streams = [self._stream(member, ask, failed, list_failed) for member in members]
        group: list[tuple[CID, list[PinInfo]]] = []
        async with closed_after(merge(streams)) as merged:
            async for cid, infos in merged:
                group.append((cid, infos))
                if len(group) == _GROUP:
                    for info in await self._joined(group, failed):
                        yield info
                    group = []
            for info in await self._joined(group, failed):
                yield info

    async def _stream(
        self, member: Member, ask: AskPage, failed: dict[str, PinInfo], list_failed: bool
    ) -> AsyncIterator[tuple[CID, PinInfo]]:
        """What one member lists; from where it fails on, what it is to hold, if that is asked for."""
        after: CID | None = None
        try:
            while True:
                page = await ask(member, after)
                for row in page.rows:
                    yield row.cid, row.info
                    after = row.cid
                if page.after is None:
                    return
                after = page.after
        except (CallFailed, PeerOffline) as error:
            failed[member.peer] = self._failure(member, error)
        if list_failed:
            async for pin in self._pinset.pins(PinQuery(after=after, held_by=member.peer)):
                yield pin.cid, failed[member.peer]

    async def _joined(
        self, group: Sequence[tuple[CID, Sequence[PinInfo]]], failed: Mapping[str, PinInfo]
    ) -> list[GlobalPinInfo]:
        pins = await self._pinset.get_many([cid for cid, _ in group])
        return [
            GlobalPinInfo(cid, pin, _by_peer(infos, pin, failed))
            for (cid, infos), pin in zip(group, pins, strict=True)
        ]


def _by_peer(infos: Sequence[PinInfo], pin: Pin | None, failed: Mapping[str, PinInfo]) -> dict[str, PinInfo]:
    peers = {info.peer: info for info in infos}
    for peer, info in failed.items():
        if pin is None or pin.held_by(peer):
            peers.setdefault(peer, info)
    return dict(sorted(peers.items()))
