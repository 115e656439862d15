"""All jobs: those of requests and loops of this node, and those that other parts tell of."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from blockstore.common.guard import Guard
from cluster.common.loops import steadily
from node.jobs.job import Job, JobKind, JobRefuses, JobSource, JobState, JobVerb, NoSuchJob
from node.jobs.job_file import JobFile
from node.jobs.running_job import RunningJob, new_job

HISTORY = 100
"""Jobs that have ended and are still listed."""

_BRIEF = 1.0  # seconds; what took less and went well is forgotten at once
_LOOK = 5.0  # seconds between two looks at jobs that do not tell when they change


class Jobs:
    """Made with those that ended before this start, which `file` keeps."""

    def __init__(self, file: JobFile, guard: Guard, now: Callable[[], float] = time.time) -> None:
        """`now`: seconds since 1970."""
        self._file = file
        self._guard = guard
        self._now = now
        self._running: dict[str, RunningJob] = {}
        known = file.read()
        self._ended: deque[Job] = deque((job for job in known if job.state.is_over), maxlen=HISTORY)
        self._saved: Sequence[Job] = known
        self.unfinished = tuple(job for job in known if not job.state.is_over)
        """What this node did when it ended, and what is to go on."""
        self._sources: list[JobSource] = []
        self._looking = asyncio.Lock()
        self._seen: dict[str, Job] = {}  # of sources, at the last look
        self._handlers: list[Callable[[Job], None]] = []

    def add_source(self, source: JobSource) -> None:
        """Its jobs are listed too, and what changes of them is told some seconds later."""
        self._sources.append(source)

    async def run(self) -> None:
        """Look at the sources now and then, until cancelled."""
        await steadily(self._guard, "looking at", "jobs", self._turn)

    async def _turn(self) -> None:
        await asyncio.sleep(_LOOK)
        await self.look()

    async def look(self) -> None:
        """Look at the sources, tell what has changed, and write down what is to be known after a restart."""
        async with self._looking:
            self._compare({job.id: job for source in self._sources for job in await source.jobs()})
            await self._save()

    def _compare(self, now: dict[str, Job]) -> None:
        """With what was there at the last look."""
        for job in now.values():
            if job.id not in self._seen or self._seen[job.id].state is not job.state:
                self.tell(job)
        for job_id in self._seen.keys() - now.keys():
            gone = self._seen[job_id]
            if gone.state.is_over:
                self._ended.append(gone)
            else:
                self._called_off(gone)
        self._seen = now

    async def _save(self) -> None:
        """What has ended, and what is to go on after a restart."""
        own = [job for job in self._seen.values() if job.kind is JobKind.REBALANCE]
        if (kept := [*self._ended, *own]) != self._saved:
            self._saved = kept
            await asyncio.to_thread(self._file.write, kept)

    def on_change(self, handler: Callable[[Job], None]) -> None:
        """Hear of each job that begins, is paused, resumed or cancelled, or ends. Must not block."""
        self._handlers.append(handler)

    @contextmanager
    def running(self, kind: JobKind, subject: str, unit: str) -> Iterator[RunningJob]:
        """The work of the block is a job for its length; what it raises ends it as failed."""
        running = RunningJob(
            new_job(f"{kind}-{secrets.token_hex(4)}", kind, subject, unit, self._now()), self._now, self.tell
        )
        self._running[running.job.id] = running
        self.tell(running.job)
        try:
            yield running
        except BaseException as error:
            self._end(running, error)
            raise
        else:
            self._end(running, None)

    async def all(self) -> list[Job]:
        """Those that run first, by the time they began; then those that ended, the last one first."""
        found = [running.job for running in self._running.values()]
        for source in self._sources:
            found += await source.jobs()
        found += self._ended
        return sorted(found, key=_place)

    async def one(self, job_id: str) -> Job:
        """Raises NoSuchJob."""
        job = next((job for job in await self.all() if job.id == job_id), None)
        if job is None:
            raise NoSuchJob(job_id)
        return job

    async def command(self, job_id: str, verb: JobVerb) -> Job:
        """The job after that, which a restart does not undo where the work goes on after one.

        Raises NoSuchJob, JobRefuses, and what the work itself says.
        """
        job = await self.one(job_id)
        if verb not in job.verbs:
            can = ", ".join(job.verbs) or "nothing"
            raise JobRefuses(f"{job_id} is {job.state}, and {verb} cannot be asked of it now; {can} can")
        if job_id in self._running:
            self._running[job_id].command(verb)
            return self._running[job_id].job
        async with self._looking:
            await (await self._source_of(job_id)).command(job, verb)
            after = await self._look_at(job)
            await self._save()
        return after

    async def _look_at(self, job: Job) -> Job:
        """A source's job as it is now; one that is none any more has ended by that."""
        found = {one.id: one for source in self._sources for one in await source.jobs()}
        if job.id in found:
            self._seen[job.id] = found[job.id]
            self.tell(found[job.id])
            return found[job.id]
        self._seen.pop(job.id, None)
        return self._called_off(job)

    def _called_off(self, job: Job) -> Job:
        ended = _vanished(job, self._now())
        self._ended.append(ended)
        self.tell(ended)
        return ended

    def tell(self, job: Job) -> None:
        for handler in self._handlers:
            handler(job)

    async def _source_of(self, job_id: str) -> JobSource:
        for source in self._sources:
            if any(job.id == job_id for job in await source.jobs()):
                return source
        raise NoSuchJob(job_id)

    def _end(self, running: RunningJob, error: BaseException | None) -> None:
        del self._running[running.job.id]
        running.end(error)
        job = running.job
        if error is not None or self._now() - job.begun >= _BRIEF:
            self._ended.append(job)


def _place(job: Job) -> tuple[bool, float]:
    return job.state.is_over, -(job.ended or 0.0) if job.state.is_over else job.begun


def _vanished(job: Job, now: float) -> Job:
    """What is no work any more: a member that came back, one that is drained no longer."""
    return replace(job, state=JobState.CANCELLED, ended=now, left=None, verbs=(), detail="it was called off")
