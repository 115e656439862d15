"""The pass over all blocks as a job: it can be paused, over restarts too, and given up until the next one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from blockstore.store import Usage
from node.jobs.job import Job, JobKind, JobState, JobVerb, verbs_of
from node.jobs.pace import average
from node.services.scrub import Scrub, ScrubState


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
        job_state = _state(state)
        until = self._now() if state.is_running else state.ended
        left = max(0, (await self._usage()).bytes - state.bytes) if state.is_running else 0
        found = state.damaged + state.unreadable
        job = Job(
            id=JobKind.SCRUB.value,
            kind=JobKind.SCRUB,
            state=job_state,
            subject="all blocks",
            unit="bytes",
            done=state.bytes,
            left=left,
            rate=average(state.bytes, until - state.begun),
            begun=state.begun,
            ended=None if state.is_running else state.ended,
            detail=f"{found} blocks are bad" if found else "",
            verbs=verbs_of(job_state),
        )
        return (job,)

    async def command(self, job: Job, verb: JobVerb) -> None:
        if verb is JobVerb.CANCEL:
            await self._scrub.give_up()
        else:
            await self._scrub.pause(verb is JobVerb.PAUSE)


def _state(scrub: ScrubState) -> JobState:
    if not scrub.is_running:
        return JobState.DONE
    return JobState.PAUSED if scrub.paused else JobState.RUNNING
