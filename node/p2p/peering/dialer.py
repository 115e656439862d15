"""Dials peers at their known addresses: one dial a peer at a time, one address after the other."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from weakref import WeakValueDictionary

from node.p2p.errors import DialFailed, NetworkError, OtherPeerAnswered
from node.p2p.peering.address_book import AddressBook
from node.p2p.peering.connected_peers import ConnectedPeers

_NOT_AGAIN_WITHIN = 2.0  # seconds after a failed dial in which the peer is not dialled for a mere message
_log = logging.getLogger(__name__)

Dial = Callable[[str, str], Awaitable[bool]]
"""(peer, address): connect, and prove that it is that peer; False when it was connected already.

Raises NetworkError, of which OtherPeerAnswered says that the address is another peer's.
"""


class Dialer:
    """Gets connected to a peer, and remembers in `book` which address led to it and which did not."""

    def __init__(self, dial: Dial, book: AddressBook, connected: ConnectedPeers) -> None:
        self._dial = dial
        self._book = book
        self._connected = connected
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()  # one dial a peer
        self._failed_at: dict[str, float] = {}
        connected.on_change(self._peer_changed)

    async def dial(self, peer: str, addresses: Sequence[str]) -> None:
        """Be connected to that peer; addresses end in `/p2p/` and its id. Raises DialFailed."""
        async with self._lock(peer):
            await self._dial_each(peer, addresses)

    async def dial_known(self, peer: str) -> None:
        """Get connected for a message. Raises DialFailed, at once for a peer whose dial has just failed."""
        now = asyncio.get_running_loop().time
        async with self._lock(peer):
            if now() - self._failed_at.get(peer, -_NOT_AGAIN_WITHIN) < _NOT_AGAIN_WITHIN:
                raise DialFailed("it could not be reached a moment ago")
            try:
                await self._dial_each(peer, self._book.addresses(peer))
            except DialFailed:
                self._note_failure(peer, now())
                raise

    async def _dial_each(self, peer: str, addresses: Sequence[str]) -> None:
        reasons = []
        for address in addresses:
            if peer in self._connected:
                return
            try:
                await self._dial_one(peer, address)
            except NetworkError as error:
                reasons.append(f"{address}: {error}")
            else:
                return
        if peer not in self._connected:
            raise DialFailed(_why(reasons))

    async def _dial_one(self, peer: str, address: str) -> None:
        try:
            dialled = await self._dial(peer, address)
        except OtherPeerAnswered as error:
            if self._book.reject(peer, address):
                _log.warning(
                    "%s is not dialled for %s for an hour: %s", address.partition("/p2p/")[0], peer, error
                )
            raise
        if dialled:
            self._book.learn(peer, [address], first=True)

    def _note_failure(self, peer: str, now: float) -> None:
        recent = {one: at for one, at in self._failed_at.items() if now - at < _NOT_AGAIN_WITHIN}
        self._failed_at = recent | {peer: now}

    def _peer_changed(self, peer: str, connected: bool) -> None:
        if connected:
            self._failed_at.pop(peer, None)

    def _lock(self, peer: str) -> asyncio.Lock:
        return self._locks.setdefault(peer, asyncio.Lock())


def _why(reasons: Sequence[str]) -> str:
    """The address that was tried first, which worked last, stands for all: old ones say little."""
    if not reasons:
        return "no address of it is known"
    others = len(reasons) - 1
    return reasons[0] + (f" ({others} more of its addresses do not answer either)" if others else "")
