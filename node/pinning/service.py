"""The pinning service: requests become pins that are kept for their owner, and go with the last of them."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from cluster.allocation.pin_options import MAX_PIN_NAME
from cluster.cluster import Cluster
from cluster.common.keyed_lock import KeyedLock
from cluster.errors import NotOwned, NotPinned
from cluster.pin import GlobalPinInfo, Pin, PinOptions, Wish
from node.pinning.errors import UnknownRequest
from node.pinning.pin_request import (
    EVERY_REQUEST,
    MAX_LISTED,
    PinRequest,
    RequestQuery,
    RequestStatus,
    ToldRequest,
    ToldRequests,
    WantedPin,
)
from node.pinning.request_status import delegates, request_status
from node.pinning.request_store import RequestStore

MAX_DELEGATES = 20
"""Addresses in one answer (the specification's maximum)."""

_LISTINGS = 2  # at once that have to look at statuses

OwnAddresses = Callable[[], Collection[str]]
"""Where this node is on the open network: multiaddresses with /p2p/."""

_Addresses = Mapping[str, Collection[str]]  # the same of every member, by its peer id
_Found = tuple[PinRequest, GlobalPinInfo]


@dataclass(frozen=True, slots=True)
class PinningService:
    """`addresses` are this node's. A request is on the disk before its pin, and its pin goes before it.

    So a crash between the two leaves a request that says it failed, and never a pin that no request keeps.
    """

    cluster: Cluster
    store: RequestStore
    addresses: OwnAddresses
    now: Callable[[], float] = time.time
    locks: KeyedLock = field(default_factory=KeyedLock)
    listings: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_LISTINGS))

    async def add(self, owner: str, wanted: WantedPin) -> ToldRequest:
        """Durable when it returns; its content is fetched in the background. Raises what `grant` raises."""
        async with self.locks.of(wanted.cid):
            request = await self.store.add(uuid.uuid4().hex, owner, wanted, int(self.now() * 1000))
            try:
                granted = await self.cluster.grant(wanted.cid, self._wish(owner, wanted))
            except Exception:
                await self.store.remove(request.id)
                raise
        return ToldRequest(request, RequestStatus.QUEUED, "", self._delegates(granted.pin, self._addresses()))

    async def get(self, owner: str, id_: str) -> ToldRequest:
        """Raises UnknownRequest."""
        request = await self._own(owner, id_)
        info = await self.cluster.statuses.one(request.wanted.cid)
        return self._told([(request, info)])[0]

    async def replace(self, owner: str, id_: str, wanted: WantedPin) -> ToldRequest:
        """A new request in place of that one, whose pin goes when the new one is there.

        Raises UnknownRequest, and what `add` raises: then the old one stays.
        """
        old = await self._own(owner, id_)
        new = await self.add(owner, wanted)
        await self._remove(old)
        return new

    async def remove(self, owner: str, id_: str) -> PinRequest:
        """The request as it was. Raises UnknownRequest."""
        request = await self._own(owner, id_)
        await self._remove(request)
        return request

    async def list(self, query: RequestQuery) -> ToldRequests:
        """Where all statuses are wanted none is looked up but those that are told."""
        if query.statuses == EVERY_REQUEST:
            found = await self._looked_up(await self.store.page(query, query.limit))
            return ToldRequests(await self.store.count(query), self._told(found))
        async with self.listings:
            return await self._filtered(query)

    async def _filtered(self, query: RequestQuery) -> ToldRequests:
        """All that fit are counted, page by page."""
        count, found = 0, list[_Found]()
        rest = query
        while page := await self.store.page(rest, MAX_LISTED):
            fit = [one for one in await self._looked_up(page) if self._status(*one)[0] in query.statuses]
            count += len(fit)
            found += fit[: query.limit - len(found)]
            rest = replace(query, before=page[-1].created)
        return ToldRequests(count, self._told(found))

    async def _looked_up(self, requests: Sequence[PinRequest]) -> Sequence[_Found]:
        by_cid = dict.fromkeys(request.wanted.cid for request in requests)
        infos = {info.cid: info async for info in self.cluster.statuses.of([*by_cid])}
        return [(request, infos[request.wanted.cid]) for request in requests]

    def _status(self, request: PinRequest, info: GlobalPinInfo) -> tuple[RequestStatus, str]:
        return request_status(info, request.owner, self.cluster.context.peer)

    def _told(self, found: Sequence[_Found]) -> tuple[ToldRequest, ...]:
        known = self._addresses()
        return tuple(
            ToldRequest(request, *self._status(request, info), self._delegates(info.pin, known))
            for request, info in found
        )

    async def _own(self, owner: str, id_: str) -> PinRequest:
        request = await self.store.get(owner, id_)
        if request is None:
            raise UnknownRequest
        return request

    async def _remove(self, request: PinRequest) -> None:
        """The pin is let go of with the last request of its owner; it may be gone by itself."""
        async with self.locks.of(request.wanted.cid):
            if not await self.store.others(request):
                with suppress(NotPinned, NotOwned):
                    await self.cluster.release(request.wanted.cid, request.owner, self.cluster.context.peer)
            await self.store.remove(request.id)

    def _wish(self, owner: str, wanted: WantedPin) -> Wish:
        """A name belongs to its request, and may be longer than a pin's."""
        name = wanted.name if len(wanted.name.encode()) <= MAX_PIN_NAME else ""
        options = PinOptions(name=name, origins=wanted.origins)
        return Wish(options, owner=owner, requests_at=self.cluster.context.peer)

    def _addresses(self) -> _Addresses:
        us, peers = self.cluster.context.peer, self.cluster.members.peers()
        known = {peer: self.cluster.ping_of(peer).ipfs_addresses for peer in peers if peer != us}
        return {**known, us: tuple(self.addresses())}

    def _delegates(self, pin: Pin | None, known: _Addresses) -> tuple[str, ...]:
        """Of the holders; of this node where none of theirs is known."""
        if pin is None:
            return ()
        own = known[self.cluster.context.peer]
        return delegates(pin, known, MAX_DELEGATES) or tuple(own)[:MAX_DELEGATES]
