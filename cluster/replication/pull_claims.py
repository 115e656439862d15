"""Which member is asked for which log: each log of one member at a time, while that gives something."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from cluster.pinset.log.batch import AuthorLog

STALLED = 1.0
"""Seconds without a page after which a log is asked of another member too, of a third after twice as many.

A page takes some tens of milliseconds: a member that needs longer is stopped, cut off, busy or far away.
"""


class PullClaim:
    """One member's pull: the logs that it brings, whether any came, and when something last did."""

    def __init__(self, peer: str) -> None:
        self.peer = peer
        self.logs: set[AuthorLog] = set()
        self.brought = False
        self._gave: float | None = None  # when, by the loop's clock; None while that is being applied
        self.gives()

    def gives(self) -> None:
        """It has given something, and is to give more."""
        self._gave = asyncio.get_running_loop().time()

    def applies(self) -> None:
        """The work is ours now: however long that takes, that member has not stalled."""
        self._gave = None

    def silent(self) -> float:
        """Seconds since it last gave something, while more is asked of it."""
        return 0.0 if self._gave is None else asyncio.get_running_loop().time() - self._gave


class PullClaims:
    """What the pulls that run side by side bring, so that nothing travels twice without need."""

    def __init__(self) -> None:
        self._claims: list[PullClaim] = []
        self._released = asyncio.Event()

    @contextmanager
    def claim(self, peer: str) -> Iterator[PullClaim]:
        """A pull from that member; its logs are anyone's again at the end of the block."""
        claim = PullClaim(peer)
        self._claims.append(claim)
        try:
            yield claim
        finally:
            self._claims.remove(claim)
            self.release(claim)

    def take(self, claim: PullClaim, logs: Sequence[AuthorLog]) -> list[AuthorLog]:
        """Those of these logs that are this pull's to bring from now on."""
        free = [log for log in logs if self._is_free(log, claim)]
        claim.logs = set(free)
        return free

    def _is_free(self, log: AuthorLog, ours: PullClaim) -> bool:
        rivals = [one for one in self._claims if one is not ours and log in one.logs]
        patience = STALLED * 2.0 ** len(rivals) / 2  # the slower the line, the fewer share it
        return all(rival.silent() >= patience for rival in rivals)

    def release(self, claim: PullClaim) -> None:
        """Another pull may bring these logs."""
        claim.logs = set()
        self._released.set()
        self._released = asyncio.Event()

    async def change(self) -> None:
        """Until logs were released, or some pull may have stalled."""
        with suppress(TimeoutError):
            async with asyncio.timeout(STALLED):
                await self._released.wait()
