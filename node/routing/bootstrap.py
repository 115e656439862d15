"""Finding the DHT: by the servers that answered last, by members, by what is configured, by the shipped list.

The first of these ways that leads to enough servers is the last one that is tried. A way costs nothing while
enough are known.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from blockstore.common.backoff import Backoff
from node.routing.dht import Dht
from node.routing.remembered_servers import RememberedServers
from node.routing.router import Provider

ENOUGH = 8
"""Servers in one DHT from which look-ups reach all others."""

_AT_ONCE = 8
_ROUND = 300.0  # seconds between looks at what is known
_PAUSES = Backoff(5.0, _ROUND)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BootstrapWay:
    """Where servers may be; `peers` is asked each time that they are needed."""

    name: str
    peers: Callable[[], Awaitable[Sequence[Provider]]]


class Bootstrap:
    """`ways` in their order, behind what is remembered."""

    def __init__(self, dht: Dht, remembered: RememberedServers, ways: Sequence[BootstrapWay]) -> None:
        self._dht = dht
        self._remembered = remembered
        self._ways = (BootstrapWay("servers that answered before", self._recalled), *ways)
        self._pauses = iter(_PAUSES)

    async def turn(self) -> None:
        """Find servers where too few are known; else keep those that are."""
        for way in self._ways:
            if self._known() >= ENOUGH:
                break
            found = await self._try(await way.peers())
            if found:
                _log.info("the DHT: %d of %s answered", found, way.name)
        await self.keep()
        if self._known() >= ENOUGH:
            self._pauses = iter(_PAUSES)
            await asyncio.sleep(_ROUND)
        else:
            await asyncio.sleep(next(self._pauses))

    async def keep(self) -> None:
        """Remember the servers that are known now."""
        for part in self._dht.parts:
            self._remembered.answered(part.client.table.peers())
        await self._remembered.save()

    def _known(self) -> int:
        return max(len(part.client.table) for part in self._dht.parts)

    async def _recalled(self) -> Sequence[Provider]:
        return self._remembered.best()

    async def _try(self, peers: Sequence[Provider]) -> int:
        """How many answered; no more are asked than are needed."""
        answers: dict[str, bool] = {}
        for start in range(0, len(peers), _AT_ONCE):
            if self._known() >= ENOUGH:
                break
            group = peers[start : start + _AT_ONCE]
            answered = await asyncio.gather(*map(self._greet, group))
            answers |= {peer.peer: is_there for peer, is_there in zip(group, answered, strict=True)}
        if any(answers.values()):  # else it is the line that failed, and none of them
            for peer in (peer for peer, is_there in answers.items() if not is_there):
                self._remembered.failed(peer)
        return sum(answers.values())

    async def _greet(self, peer: Provider) -> bool:
        return any([await part.client.greet(peer) for part in self._dht.parts])
