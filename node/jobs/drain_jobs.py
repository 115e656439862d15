"""Members that are drained, as jobs: the record that all members have is the job, and each shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cluster.cluster import Cluster
from cluster.interfaces import Duty, PinQuery
from node.jobs.job import Job, JobKind, JobState, JobVerb, verbs_of
from node.jobs.pace import Pace


@dataclass(slots=True)
class _Watched:
    """One drained member, since this node saw it so."""

    begun: float
    total: int
    pace: Pace
    ended: float | None = None


class DrainJobs:
    """What is counted are pins that name the member; what other members move is in it."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._watched: dict[str, _Watched] = {}

    async def jobs(self) -> Sequence[Job]:
        drained = sorted(self._cluster.members.drained())
        self._watched = {peer: one for peer, one in self._watched.items() if peer in drained}
        return [await self._job(peer) for peer in drained]

    async def command(self, job: Job, verb: JobVerb) -> None:
        """Raises ReadOnlyMember, UntrustedPeer."""
        peer = job.id.removeprefix(f"{JobKind.DRAIN}-")
        duties = {JobVerb.PAUSE: Duty.DRAIN_HELD, JobVerb.RESUME: Duty.DRAIN, JobVerb.CANCEL: Duty.OPEN}
        self._cluster.context.pinset.check_writable()
        await self._cluster.context.members.set_duty(peer, duties[verb])

    async def _job(self, peer: str) -> Job:
        left, now = await self._cluster.pinset.count(PinQuery(allocated_to=peer)), self._cluster.context.now()
        watched = self._watched.setdefault(peer, _Watched(now, left, Pace(now)))
        watched.total = max(watched.total, left)
        done = watched.total - left
        watched.pace.observe(done, now)
        work = self._cluster.drains.draining.work.get(peer)
        state = self._state(peer, left)
        watched.ended = (watched.ended or now) if state.is_over else None
        return Job(
            id=f"{JobKind.DRAIN}-{peer}",
            kind=JobKind.DRAIN,
            state=state,
            subject=self._cluster.members.name(peer) or peer,
            unit="pins",
            done=done,
            left=left,
            rate=watched.pace.rate(done, now),
            begun=watched.begun,
            ended=watched.ended,
            detail=f"{work.stuck} cannot go: {work.reason}" if work and work.stuck and left else "",
            verbs=_verbs(state),
        )

    def _state(self, peer: str, left: int) -> JobState:
        if not left:
            return JobState.DONE
        if self._cluster.members.duty(peer) is Duty.DRAIN_HELD:
            return JobState.PAUSED
        work = self._cluster.drains.draining.work.get(peer)
        return JobState.WAITING if work and work.stuck >= left else JobState.RUNNING


def _verbs(state: JobState) -> tuple[JobVerb, ...]:
    """One that is done can be called off too: then the member takes new pins again."""
    return (JobVerb.CANCEL,) if state is JobState.DONE else verbs_of(state)
