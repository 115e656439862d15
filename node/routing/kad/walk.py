"""A look-up on its way: asks the peers that it names, several at once, and gives their answers in turn."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from blockstore.common.tasks import let_go
from node.routing.kad.lookup import Lookup
from node.routing.kad.message import KadMessage
from node.routing.kad.network import KadNetwork, NoAnswer
from node.routing.router import Provider

LONGEST = 60.0
"""Seconds of one look-up."""

_LOOK = 0.01  # seconds between two looks at least


@dataclass(frozen=True, slots=True)
class Answer:
    """What one peer said; None where it could not be asked."""

    peer: Provider
    message: KadMessage | None


async def walk(network: KadNetwork, lookup: Lookup, request: KadMessage) -> AsyncGenerator[Answer]:
    """Every answer, until the look-up is over or LONGEST has passed. Closing it ends what is under way."""
    loop = asyncio.get_running_loop()
    end = loop.time() + LONGEST
    asking: set[asyncio.Task[Answer]] = set()
    try:
        while (now := loop.time()) < end:
            asking |= {asyncio.create_task(_ask(network, peer, request)) for peer in lookup.ask(now)}
            if lookup.is_over(now):
                return
            pause = max(_LOOK, min(lookup.next_look(now), end - now))
            done, asking = await asyncio.wait(
                asking, timeout=pause if math.isfinite(pause) else None, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                yield _noted(lookup, task.result())
    finally:
        for task in asking:
            await let_go(task)


async def _ask(network: KadNetwork, peer: Provider, request: KadMessage) -> Answer:
    try:
        return Answer(peer, await network.ask(peer, request))
    except NoAnswer:
        return Answer(peer, None)


def _noted(lookup: Lookup, answer: Answer) -> Answer:
    if answer.message is None:
        lookup.failed(answer.peer.peer)
    else:
        lookup.answered(answer.peer.peer, answer.message.closer)
    return answer
