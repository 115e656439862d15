"""Keeps what one peer, or one bug, can break from breaking the rest.

In py-libp2p an exception in any stream handler, or one line that is not UTF-8, ends the whole host. Here
every task that works for a single peer runs inside `guarded`. `blockstore/common/guard.py` is the same for
asyncio: a block there, a coroutine here, because a nursery starts functions.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import ParamSpec

import trio

from blockstore.common.guard import only
from node.p2p.errors import ConnectionLost, NetworkError

P = ParamSpec("P")
_log = logging.getLogger(__name__)


async def guarded(what: str, work: Callable[P, Awaitable[object]], *args: P.args, **kwargs: P.kwargs) -> bool:
    """Await work(*args); whether it went well. No exception leaves; cancellation does.

    Trouble that a network brings is noted for debugging; anything else is a bug, ours or a library's, and is
    logged with its traceback.
    """
    try:
        await work(*args, **kwargs)
    except NetworkError as error:
        _log.debug("%s: %s", what, error)
    except Exception as error:  # noqa: BLE001  # the purpose of this file
        if only(error, (NetworkError, OSError)):
            _log.debug("%s: %r", what, error)
        else:
            _log.warning("%s failed: %r", what, error, exc_info=error)
    else:
        return True
    return False


@asynccontextmanager
async def within(seconds: float, what: str) -> AsyncIterator[None]:
    """Raises ConnectionLost when the block takes longer."""
    with trio.move_on_after(seconds) as scope:
        yield
    if scope.cancelled_caught:
        raise ConnectionLost(f"{what} took longer than {seconds:.0f} s")
