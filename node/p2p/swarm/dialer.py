"""Getting to peers, and staying connected to those that are wanted: addresses, dials, back-off."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from pathlib import Path
from weakref import WeakValueDictionary

from bitswap.network import PeerUnreachable
from blockstore.common.guard import Guard
from cluster.ports import PeerOffline
from node.p2p.errors import UndialableAddress
from node.p2p.swarm.address_book import AddressBook
from node.p2p.swarm.multiaddress import Address, parse

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 60.0  # seconds between attempts to reach a wanted peer
_SHUNNED = 2.0  # seconds in which a peer that could not be reached is not dialled for a mere message
_SAVE_AFTER = 5.0

Dial = Callable[[str, Sequence[str]], Awaitable[str | None]]
"""(peer, addresses) -> the address that answered, None when connected already. Raises PeerOffline."""


class Dialer:
    """Which peers are where, and which of them are kept."""

    def __init__(
        self,
        dial: Dial,
        path: Path | None,
        spawn: Callable[[Coroutine[object, object, None]], asyncio.Task[None]],
        guard: Guard,
    ) -> None:
        self._guard = guard
        self._dial = dial
        self._spawn = spawn
        self._book = AddressBook(path)
        self._keepers: dict[str, asyncio.Task[None]] = {}
        self._leaving: dict[str, asyncio.Event] = {}  # of connected peers
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()  # one dial a peer
        self._failed: dict[str, float] = {}
        self._saver: asyncio.Task[None] | None = None

    def addresses(self, peer: str) -> tuple[str, ...]:
        """With `/p2p/`, the best first."""
        return self._book.addresses(peer)

    def keep(self, addresses: Iterable[str]) -> None:
        """Stay connected to these, and to those wanted before the last restart. Raises UndialableAddress."""
        for text in addresses:
            target = parse(text)
            if target.peer is None:
                raise UndialableAddress(f'"{text}" must end in /p2p/ and a peer id')
            self._book.learn(target.peer, [_place(target)])
            self._keep(target.peer)
        for peer in self._book.wanted():
            self._keep(peer)

    async def connect(self, peer: str, address: str) -> None:
        """Dial, and stay connected from then on. Raises PeerOffline."""
        async with self._turn(peer):
            await self._reached(peer, [address])
        self._book.learn(peer, [_place(parse(address))])
        self._keep(peer)
        self._save_soon()

    async def reach(self, peer: str) -> None:
        """Be connected to a peer for a message. Raises PeerUnreachable, at once when it has just failed."""
        now = asyncio.get_running_loop().time
        async with self._turn(peer):
            if now() - self._failed.get(peer, -_SHUNNED) < _SHUNNED:
                raise PeerUnreachable(f"{peer} could not be reached a moment ago")
            addresses = self._book.addresses(peer)
            if not addresses:
                raise PeerUnreachable(f"{peer} is not connected, and no address of it is known")
            try:
                await self._reached(peer, addresses)
            except PeerOffline as error:
                self._note_failure(peer, now())
                raise PeerUnreachable(str(error)) from error

    def learn(self, peer: str, addresses: Sequence[str]) -> None:
        """What a connected peer says of where it listens."""
        self._book.learn(peer, addresses)
        self._save_soon()

    def keeps(self, peer: str) -> bool:
        """Whether that peer is to stay connected. Asked on the trio thread as well."""
        return peer in self._keepers

    def forget(self, peer: str) -> None:
        """Do not keep it connected any more."""
        keeper = self._keepers.pop(peer, None)
        if keeper is not None:
            keeper.cancel()
            self._book.want(peer, False)
            self._save_soon()

    def peer_changed(self, peer: str, connected: bool) -> None:
        if connected:
            self._leaving[peer] = asyncio.Event()
            self._failed.pop(peer, None)
        else:
            left = self._leaving.pop(peer, None)
            if left is not None:
                left.set()

    async def save(self) -> None:
        await self._book.save()

    def _keep(self, peer: str) -> None:
        if peer not in self._keepers:
            self._book.want(peer, True)
            self._keepers[peer] = self._spawn(self._stay_connected(peer))

    async def _stay_connected(self, peer: str) -> None:
        pause = _FIRST_PAUSE
        while True:
            leaving = self._leaving.get(peer)
            if leaving is not None:
                await leaving.wait()
                pause = _FIRST_PAUSE
                await asyncio.sleep(random.uniform(0, pause))  # both ends want it: who comes first
            with self._guard.around("dialling a wanted peer", peer, PeerOffline):
                async with self._turn(peer):
                    await self._reached(peer, self._book.addresses(peer))
            if peer not in self._leaving:
                await asyncio.sleep(pause * random.uniform(0.5, 1.5))
                pause = min(2 * pause, _LONGEST_PAUSE)

    def _note_failure(self, peer: str, now: float) -> None:
        self._failed = {one: at for one, at in self._failed.items() if now - at < _SHUNNED}
        self._failed[peer] = now

    def _turn(self, peer: str) -> asyncio.Lock:
        return self._turns.setdefault(peer, asyncio.Lock())

    async def _reached(self, peer: str, addresses: Sequence[str]) -> None:
        if peer in self._leaving:
            return
        answered = await self._dial(peer, addresses)
        if answered is not None:
            self._book.learn(peer, [_place(parse(answered))], first=True)

    def _save_soon(self) -> None:
        if self._saver is None or self._saver.done():
            self._saver = self._spawn(self._save_later())

    async def _save_later(self) -> None:
        await asyncio.sleep(_SAVE_AFTER)
        await self._book.save()


def _place(address: Address) -> str:
    return str(Address(address.kind, address.host, address.port))
