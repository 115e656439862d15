"""Scrubbing: about once a month every block is read from the disk and hashed, at a gentle pace.

What does not hash to its name is set aside by the store, and fetched again where a pin needs it
(`damage_repair.py`). A disk that does not answer is told and changes nothing: that is not rot.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from blockstore.common.guard import Guard
from blockstore.errors import BlockstoreError
from blockstore.upkeep import Verified, VerifiedStore
from cluster.common.loops import steadily
from node.files.atomic_write import atomic_write

DAY = 86_400.0
DAYS = (25.0, 35.0)
"""From the end of one pass to the beginning of the next, at random: members do not all read at once."""

LOGGED = 20
"""Blocks of one pass that are logged one by one."""

_SAVE_SECONDS = 30.0  # of work that is done again after a crash, at most
_LOOK_SECONDS = 3600.0  # between looks at the clock, which may be set
_NO_ANSWER_SECONDS = 3600.0
_THREADS = 2  # that read and hash at the same time
_VERSION = 1

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ScrubState:
    """What outlives the program. Times in seconds since 1970; `begun` and `ended` are 0 before the first.

    `place` is where the pass that is under way is (see `VerifiedStore`), as hexadecimal digits; empty between
    two passes. The counts are those of that pass, or of the last one.
    """

    due: float
    begun: float = 0.0
    ended: float = 0.0
    place: str = ""
    blocks: int = 0
    bytes: int = 0
    damaged: int = 0
    unreadable: int = 0
    paused: bool = False

    @property
    def is_running(self) -> bool:
        return self.begun > self.ended

    def after(self, step: Verified) -> ScrubState:
        return replace(
            self,
            place=step.place.hex(),
            blocks=self.blocks + step.blocks,
            bytes=self.bytes + step.bytes,
            damaged=self.damaged + len(step.damaged),
            unreadable=self.unreadable + len(step.unreadable),
        )


class Scrub:
    """`share`: of the time of one thread and of the disk, above 0 to 1; 0 switches it off."""

    def __init__(
        self,
        store: VerifiedStore,
        path: Path,
        share: float,
        guard: Guard,
        *,
        now: Callable[[], float] = time.time,
        draw: Callable[[], float] = random.random,
    ) -> None:
        """`path` is the file of its state. `now` is the wall clock, `draw` gives a number from 0 to 1."""
        self._store = store
        self._path = path
        self._share = share
        self._guard = guard
        self._now = now
        self._draw = draw
        self._saved_at = 0.0
        self._resumed = asyncio.Event()
        self.state = self._load()

    async def run(self) -> None:
        """Until cancelled."""
        if self._share > 0:
            await self._save()  # when the first pass is due: else each start would put it off
            await steadily(self._guard, "scrubbing", "the store", self.turn)

    async def turn(self) -> None:
        """A step of the pass that is under way, and its pause; or wait until the next pass is due."""
        if self.state.is_running and self.state.paused:
            await self._resumed.wait()
            return
        if not self.state.is_running:
            if (wait := self.state.due - self._now()) > 0:
                await asyncio.sleep(min(wait, _LOOK_SECONDS))
                return
            self.begin()
        await self._step()

    async def pause(self, paused: bool) -> None:
        """The pass that is under way stands still until it is let go on, over restarts too."""
        self.state = replace(self.state, paused=paused)
        self._go_on()
        await self._save()

    async def give_up(self) -> None:
        """End the pass that is under way; the next one comes at its time."""
        self.state = replace(self.state, paused=False)
        await self._end()
        self._go_on()

    def _go_on(self) -> None:
        if self.state.paused:
            self._resumed.clear()
        else:
            self._resumed.set()

    def begin(self) -> None:
        """A pass is under way from now on."""
        self.state = ScrubState(due=self.state.due, begun=self._now(), ended=self.state.ended)
        _log.info("scrubbing begins: every block is read from the disk and compared with its hash")

    async def _step(self) -> None:
        began = time.monotonic()
        try:
            step = await self._store.verify_behind(bytes.fromhex(self.state.place))
        except (BlockstoreError, OSError) as error:
            _log.error("scrubbing waits: the store cannot be read: %s", error)
            await asyncio.sleep(_NO_ANSWER_SECONDS)
            return
        took = time.monotonic() - began
        self._tell(step)
        if step.unreadable and not step.blocks:
            await asyncio.sleep(_NO_ANSWER_SECONDS)
        self.state = self.state.after(step)
        if not step.place:
            await self._end()
        elif time.monotonic() - self._saved_at > _SAVE_SECONDS:
            await self._save()
        await asyncio.sleep(took * (_THREADS / self._share - 1))

    async def _end(self) -> None:
        now = self._now()
        self.state = replace(self.state, ended=now, due=self._due(now))
        await self._save()
        _log.info(
            "scrubbing has ended: %d blocks are sound (%d bytes), %d are damaged, %d could not be read",
            self.state.blocks,
            self.state.bytes,
            self.state.damaged,
            self.state.unreadable,
        )

    def _due(self, now: float) -> float:
        return now + DAY * (DAYS[0] + (DAYS[1] - DAYS[0]) * self._draw())

    def _tell(self, step: Verified) -> None:
        """The store logs each damaged block itself."""
        if step.unreadable and self.state.unreadable < LOGGED:
            _log.error(
                "%d blocks could not be read, of which nothing is known: the disk does not answer; the first "
                "is %s. Look at the disk (dmesg, smartctl)",
                len(step.unreadable),
                step.unreadable[0],
            )

    def _load(self) -> ScrubState:
        """What the file says; where there is none, or none that can be read, a pass is due as after one."""
        try:
            fields = json.loads(self._path.read_bytes())
            if fields.pop("version") != _VERSION:
                raise ValueError("of another release")
            state = ScrubState(**fields)
            bytes.fromhex(state.place)
        except FileNotFoundError:
            return self._first()
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            _log.warning("%s cannot be read (%s): scrubbing begins anew", self._path, error)
            return self._first()
        latest = self._now() + DAY * DAYS[1]  # a clock that was wrong once puts nothing off for years
        return replace(state, due=min(state.due, latest))

    def _first(self) -> ScrubState:
        return ScrubState(due=self._due(self._now()))

    async def _save(self) -> None:
        self._saved_at = time.monotonic()
        text = json.dumps({"version": _VERSION, **asdict(self.state)}).encode()
        try:
            await asyncio.to_thread(atomic_write, self._path, text)
        except OSError as error:  # a full disk: a part of the pass is done again after a restart
            _log.debug("%s: %s", self._path, error)
