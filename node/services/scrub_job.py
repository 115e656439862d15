"""The pass over all blocks as a job: it can be paused, over restarts too, and given up until the next one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from blockstore.store import Usage
from node.jobs.job import Job, JobKind, JobState, JobVerb
from node.services.scrub import Scrub


class ScrubJobs:
    """One job: the pass that is under way, or the last one."""

    def __init__(self, scrub: Scrub, usage: Callable[[], Awaitable[Usage]], now: Callable[[], float]) -> None:
        """`usage` says how much there is to read, `now` is the wall clock."""
        self._scrub = scrub
        self._usage = usage
        self._now = now

    async def jobs(self) -> Sequence[Job]:
        """None before the first pass."""
        state = self._scrub.state
        if not state.begun:
            return ()
        seconds = (self._now() if state.is_running else state.ended) - state.begun
        left = max(0, (await self._usage()).bytes - state.bytes) if state.is_running else 0
        found = state.damaged + state.unreadable
        job = Job(
            id=JobKind.SCRUB.value,
            kind=JobKind.SCRUB,
            state=_state(state.is_running, state.paused),
            subject="all blocks",
            unit="bytes",
            done=state.bytes,
            left=left,
            rate=state.bytes / seconds if seconds > 0 else 0.0,
            begun=state.begun,
            ended=None if state.is_running else state.ended,
            detail=f"{found} blocks are bad" if found else "",
            verbs=_verbs(state.is_running, state.paused),
        )
        return (job,)

    async def command(self, job: Job, verb: JobVerb) -> None:
        if verb is JobVerb.CANCEL:
            await self._scrub.give_up()
        else:
            await self._scrub.pause(verb is JobVerb.PAUSE)


def _state(running: bool, paused: bool) -> JobState:
    if not running:
        return JobState.DONE
    return JobState.PAUSED if paused else JobState.RUNNING


def _verbs(running: bool, paused: bool) -> tuple[JobVerb, ...]:
    if not running:
        return ()
    return (JobVerb.RESUME if paused else JobVerb.PAUSE, JobVerb.CANCEL)
