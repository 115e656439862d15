"""Repairs as jobs: the pins of a member that is gone, as far as this member is elected to place them anew."""

from __future__ import annotations

from collections.abc import Sequence

from cluster.allocation.repin import RepairWork
from cluster.cluster import Cluster
from cluster.interfaces import Duty
from node.jobs.job import Job, JobKind, JobState, JobVerb
from node.jobs.pace import average


class RepairJobs:
    """A repair is paused for all members, by a record that has the member's pins stay though it is away."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def jobs(self) -> Sequence[Job]:
        """Of members that are gone; and the paused ones, whether or not their members are back."""
        members, now = self._cluster.members, self._cluster.context.now()
        held = {peer: _nothing(now) for peer in members.peers() if members.duty(peer) is Duty.HELD}
        return [self._job(peer, work) for peer, work in sorted((held | self._cluster.repinner.work).items())]

    async def command(self, job: Job, verb: JobVerb) -> None:
        """Raises ReadOnlyMember, UntrustedPeer."""
        members, peer = self._cluster.context.members, job.id.removeprefix(f"{JobKind.REPAIR}-")
        drained = members.duty(peer).is_drained
        held, free = (Duty.DRAIN_HELD, Duty.DRAIN) if drained else (Duty.HELD, Duty.OPEN)
        self._cluster.context.pinset.check_writable()
        await members.set_duty(peer, held if verb is JobVerb.PAUSE else free)

    def _job(self, peer: str, work: RepairWork) -> Job:
        state, now = self._state(peer, work), self._cluster.context.now()
        return Job(
            id=f"{JobKind.REPAIR}-{peer}",
            kind=JobKind.REPAIR,
            state=state,
            subject=self._cluster.members.name(peer) or peer,
            unit="pins",
            done=work.looked_at,
            left=max(0, work.total - work.looked_at),
            rate=average(work.looked_at, (work.ended or now) - work.begun),
            begun=work.begun,
            ended=work.ended if state.is_over else None,
            detail=_detail(work),
            verbs=self._verbs(peer, state),
        )

    def _state(self, peer: str, work: RepairWork) -> JobState:
        if self._cluster.members.duty(peer).is_held:
            return JobState.PAUSED
        if work.ended is None:
            return JobState.RUNNING
        return JobState.WAITING if work.short else JobState.DONE

    def _verbs(self, peer: str, state: JobState) -> tuple[JobVerb, ...]:
        """The pins of a member that was removed cannot wait for it."""
        if not self._cluster.members.is_member(peer):
            return ()
        return (JobVerb.RESUME,) if state is JobState.PAUSED else (JobVerb.PAUSE,)


def _detail(work: RepairWork) -> str:
    short = f"; {work.short} stay short: {work.reason}" if work.short else ""
    return f"{work.moved} were placed anew by this member{short}"


def _nothing(now: float) -> RepairWork:
    """Of a member of which this one has placed nothing anew."""
    return RepairWork(now, 0)
