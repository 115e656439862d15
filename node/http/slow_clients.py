"""Clients that do not read what they asked for: their connections are ended, and the memory is free again."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TypeVar

from blockstore.common.tasks import open_tasks

_LOOKS = 4  # within a client's time
_NO_LINGER = struct.pack("ii", 1, 0)  # of SO_LINGER: on, for no seconds

Key = TypeVar("Key")


@dataclass(frozen=True, slots=True)
class Waiting:
    """So many bytes wait to be sent, and none has gone since then."""

    size: int
    since: float


def waiting(sizes: Mapping[Key, int], before: Mapping[Key, Waiting], now: float) -> dict[Key, Waiting]:
    """What waits now, compared with what waited at the last look."""
    found: dict[Key, Waiting] = {}
    for key, size in sizes.items():
        if size:
            known = before.get(key)
            found[key] = known if known and known.size == size else Waiting(size, now)
    return found


def reset(transport: asyncio.WriteTransport) -> None:
    """End an open connection; what waits for its client is dropped, by the kernel too.

    Without SO_LINGER the kernel would go on offering some MiB to a client that takes nothing, for minutes.
    """
    end_by_reset(transport)
    transport.abort()


def end_by_reset(transport: asyncio.WriteTransport) -> None:
    """From now on an open connection ends by a reset, which no client takes for the end of an answer."""
    with suppress(OSError):  # the client has ended it meanwhile; some systems say so here
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)


@asynccontextmanager
async def ending_stalled(
    transports: Callable[[], Iterable[asyncio.WriteTransport]], patience: float
) -> AsyncIterator[None]:
    """Within the block, reset connections on which nothing of what waits has gone for `patience` seconds.

    A connection's buffer stays of one size only while nothing is sent of it: a writer waits for it.
    """
    async with open_tasks() as tasks:
        tasks.spawn(_end_stalled(transports, patience))
        yield


async def _end_stalled(transports: Callable[[], Iterable[asyncio.WriteTransport]], patience: float) -> None:
    seen: Mapping[asyncio.WriteTransport, Waiting] = {}
    now = asyncio.get_running_loop().time
    while True:
        await asyncio.sleep(patience / _LOOKS)
        seen = waiting({one: one.get_write_buffer_size() for one in transports()}, seen, now())
        for transport, what in seen.items():
            if now() - what.since >= patience:
                reset(transport)
