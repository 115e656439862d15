"""A job that one request of this node does: it counts, waits while paused, and ends when cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from node.jobs.job import Job, JobCancelled, JobKind, JobRefuses, JobState, JobVerb, verbs_of
from node.jobs.pace import Pace


class RunningJob:
    """The work calls `turn` as it goes. Made by `Jobs.running`."""

    def __init__(self, job: Job, now: Callable[[], float], changed: Callable[[Job], None]) -> None:
        """`changed` hears of each change of its state."""
        self._job = job
        self._now = now
        self._changed = changed
        self._pace = Pace(job.begun)
        self._resumed = asyncio.Event()
        self._resumed.set()
        self._total: int | None = None

    @property
    def job(self) -> Job:
        """As it is now."""
        left = None if self._total is None else max(0, self._total - self._job.done)
        rate = self._pace.rate(self._job.done, self._job.ended or self._now())
        return replace(self._job, left=left, rate=rate, verbs=verbs_of(self._job.state))

    def expect(self, total: int) -> None:
        """So many units there are, as far as is known."""
        self._total = total

    async def turn(self, done: int = 1) -> None:
        """So many more units are done; returns when the work may go on. Raises JobCancelled."""
        self._job = replace(self._job, done=self._job.done + done)
        self._pace.observe(self._job.done, self._now())
        await self._resumed.wait()
        if self._job.state is JobState.CANCELLED:
            raise JobCancelled(f"{self._job.id} was cancelled")

    def command(self, verb: JobVerb) -> None:
        """Raises JobRefuses where it has ended."""
        if self._job.state.is_over:
            raise JobRefuses(f"{self._job.id} has ended: {self._job.state}")
        states = {JobVerb.PAUSE: JobState.PAUSED, JobVerb.RESUME: JobState.RUNNING}
        self._become(states.get(verb, JobState.CANCELLED))
        if verb is JobVerb.PAUSE:
            self._resumed.clear()
        else:
            self._resumed.set()

    def end(self, error: BaseException | None) -> None:
        """The work is over, by that error or by itself."""
        over = self._job.state if self._job.state is JobState.CANCELLED else _end_by(error)
        detail = "" if error is None or over is JobState.CANCELLED else str(error) or type(error).__name__
        self._job = replace(self._job, ended=self._now(), detail=detail)
        self._become(over)

    def _become(self, state: JobState) -> None:
        self._job = replace(self._job, state=state)
        self._changed(self.job)


def new_job(job_id: str, kind: JobKind, subject: str, unit: str, now: float) -> Job:
    """One that has just begun."""
    return Job(job_id, kind, JobState.RUNNING, subject, unit, 0, None, 0.0, now)


def _end_by(error: BaseException | None) -> JobState:
    """A client that goes away cancels what it began."""
    if error is None:
        return JobState.DONE
    gone = isinstance(error, asyncio.CancelledError | GeneratorExit | ConnectionError)
    return JobState.CANCELLED if gone else JobState.FAILED
