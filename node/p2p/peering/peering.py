"""Keeps wanted peers connected, each with its own exponential back-off (Kubo's "peering").

The one owner of that: peers that a user named, which are remembered over restarts in the address book, and
those of `keep_connected`, such as the members of the cluster. What a peer or its profile says of where it is
counts only as far as that very peer answers there.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass

from blockstore.common.backoff import Backoff
from blockstore.common.guard import Guard
from node.p2p.errors import NetworkError, UndialableAddress
from node.p2p.peering.address_book import AddressBook
from node.p2p.peering.connected_peers import ConnectedPeers
from node.p2p.peering.dialer import Dialer
from node.p2p.swarm.multiaddress import parse

_BACKOFF = Backoff(0.5, 20.0, jitter=0.5)
"""Seconds between attempts at one peer. A peer that starts dials us, so the longest pause counts only where a
line comes back without a restart; then the first peer that is reached brings all others forward."""

_TELL_ALL = 2.0  # seconds between two times that one peer's coming has all others dialled
_log = logging.getLogger(__name__)


class Peering:
    """Which peers are kept connected. `spawn` runs a coroutine beside, and returns what cancels it."""

    def __init__(
        self,
        dialer: Dialer,
        book: AddressBook,
        connected: ConnectedPeers,
        spawn: Callable[[Coroutine[object, object, None]], Callable[[], object]],
        guard: Guard,
    ) -> None:
        self._dialer = dialer
        self._book = book
        self._connected = connected
        self._spawn = spawn
        self._guard = guard
        self._wanted: dict[str, tuple[str, ...]] = {}  # by the last call of keep_connected
        self._kept: dict[str, _Kept] = {}
        self._told_all = -_TELL_ALL  # when, by the loop's clock
        connected.on_change(self._peer_changed)

    def keep_named(self, addresses: Iterable[str]) -> None:
        """Keep the peers of these addresses, and those of the book. Raises UndialableAddress."""
        for text in addresses:
            target = parse(text)
            if target.peer is None:
                raise UndialableAddress(f'"{text}" must end in /p2p/ and a peer id')
            self._book.learn(target.peer, [text])
            self._book.want(target.peer, True)
        self._adjust()

    def keep(self, peer: str) -> None:
        """Keep a peer that a user named, over restarts too."""
        self._book.want(peer, True)
        self._adjust()

    def keep_connected(self, wanted: Mapping[str, Sequence[str]]) -> None:
        """Keep exactly these peers, beside those that a user named: peer -> addresses, the best first.

        Replaces what the call before wanted; repeated, it changes nothing. Each peer is dialled at these
        addresses and at those that are known of it otherwise. An address that leads to another peer is not
        dialled for this one until its addresses change, or for an hour.
        """
        before, self._wanted = self._wanted, {peer: tuple(found) for peer, found in wanted.items()}
        for peer, addresses in self._wanted.items():
            if addresses != before.get(peer):
                self._addresses_changed(peer, addresses)
        self._adjust()

    def forget(self, peer: str) -> None:
        """Do not keep that peer, until `keep_connected` or a user names it again."""
        self._wanted.pop(peer, None)
        if peer in self._book.wanted():
            self._book.want(peer, False)
        self._adjust()

    def keeps(self, peer: str) -> bool:
        """Whether that peer is to stay connected. Asked on the trio thread as well."""
        return peer in self._kept

    def _adjust(self) -> None:
        """Begin and end keeping, so that exactly those are kept that anyone wants."""
        goal = {*self._wanted, *self._book.wanted()}
        for peer in self._kept.keys() - goal:
            self._kept.pop(peer).stop()
        for peer in goal - self._kept.keys():
            news = asyncio.Event()
            keeper = _Keeper(peer, self._connected, self._attempt, news)
            self._kept[peer] = _Kept(news, self._spawn(keeper.run()))

    async def _attempt(self, peer: str) -> None:
        with self._guard.around("dialling a wanted peer", peer, NetworkError):
            await self._dialer.dial(peer, self._book.candidates(peer, self._wanted.get(peer, ())))

    def _addresses_changed(self, peer: str, addresses: Sequence[str]) -> None:
        self._book.readmit(peer)
        for address in addresses:
            if not _may_lead_to(peer, address) and self._book.reject(peer, address):
                _log.warning("%s is no address of %s: it is not dialled", ascii(address[:200]), peer)
        if peer in self._kept:
            self._kept[peer].news.set()

    def _peer_changed(self, peer: str, connected: bool) -> None:
        """A kept peer that is reached is news for those that are not: the line they share may be back."""
        if not connected or peer not in self._kept:
            return
        self._kept[peer].news.set()
        now = asyncio.get_running_loop().time()
        if now - self._told_all >= _TELL_ALL:
            self._told_all = now
            for kept in self._kept.values():
                kept.news.set()


@dataclass(frozen=True, slots=True)
class _Kept:
    """One peer that is kept: `news` wakes its keeper when something changed for it, `stop` ends it."""

    news: asyncio.Event
    stop: Callable[[], object]


class _Keeper:
    """Keeps one peer connected for as long as `run` runs."""

    def __init__(
        self,
        peer: str,
        connected: ConnectedPeers,
        attempt: Callable[[str], Coroutine[None, None, None]],
        news: asyncio.Event,
    ) -> None:
        self._peer = peer
        self._connected = connected
        self._attempt = attempt
        self._news = news

    async def run(self) -> None:
        while True:
            if self._peer in self._connected:
                await self._connected.until_gone(self._peer)
                await asyncio.sleep(random.uniform(0, _BACKOFF.first))  # both ends dial: one is first
            await self._until_connected()

    async def _until_connected(self) -> None:
        for pause in _BACKOFF:
            self._news.clear()
            await self._attempt(self._peer)
            if self._peer not in self._connected:
                await self._pause(pause)
            if self._peer in self._connected:
                return

    async def _pause(self, seconds: float) -> None:
        """News end it early, but never at once: addresses that keep changing make no dial more frequent."""
        await asyncio.sleep(min(seconds, _BACKOFF.first))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, seconds - _BACKOFF.first)):
                await self._news.wait()


def _may_lead_to(peer: str, address: str) -> bool:
    try:
        return parse(address).peer in (None, peer)
    except UndialableAddress:
        return False
