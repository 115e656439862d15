"""Where the content of a pin is known to be: connected while it is fetched, and asked first."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from blockstore.common.tasks import background
from cluster.ports import PeerOffline

Connect = Callable[[str], Awaitable[str]]
"""Dials a multiaddress with /p2p/ on the open network; its peer id. Raises PeerOffline."""

_MOST = 16  # of one pin that are dialled
_PEER = "/p2p/"

_log = logging.getLogger(__name__)


@asynccontextmanager
async def origins_reached(hints: Sequence[str], connect: Connect | None) -> AsyncIterator[Sequence[str]]:
    """`hints` as peer ids; those that are addresses are dialled beside the block, which never waits."""
    addresses = [hint for hint in hints if hint.startswith("/")][:_MOST]
    names = list(dict.fromkeys(hint.rpartition(_PEER)[2] for hint in hints))
    if connect is None or not addresses:
        yield names
        return
    async with background(*(_reached(address, connect) for address in addresses)):
        yield names


async def _reached(address: str, connect: Connect) -> None:
    try:
        await connect(address)
    except (PeerOffline, ValueError) as error:
        _log.debug("an origin of a pin is not reached: %s: %s", address, error)
