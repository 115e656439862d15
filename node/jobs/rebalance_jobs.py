"""A rebalance as a job: it goes on at this member after a restart, until it has nothing to move."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cluster.moving.rebalancing import Rebalance, Rebalancing
from node.jobs.job import Job, JobKind, JobState, JobVerb, verbs_of
from node.jobs.pace import average


class RebalanceJobs:
    """The one that is under way at this member, or the last one."""

    def __init__(self, rebalancing: Rebalancing, unfinished: Iterable[Job]) -> None:
        """What was `unfinished` when this node ended goes on."""
        self._rebalancing = rebalancing
        for job in unfinished:
            if job.kind is JobKind.REBALANCE:
                planned = job.done + (job.left or 0)
                rebalancing.go_on(Rebalance(job.begun, planned, job.done, job.state is JobState.PAUSED))

    async def jobs(self) -> Sequence[Job]:
        current = self._rebalancing.current
        return () if current is None else (_job(current, self._rebalancing.now()),)

    async def command(self, job: Job, verb: JobVerb) -> None:
        if verb is JobVerb.CANCEL:
            self._rebalancing.cancel()
        else:
            self._rebalancing.pause(verb is JobVerb.PAUSE)


def _job(current: Rebalance, now: float) -> Job:
    state = _state(current)
    return Job(
        id=f"{JobKind.REBALANCE}-{int(current.begun)}",
        kind=JobKind.REBALANCE,
        state=state,
        subject="all members",
        unit="pins",
        done=current.moved,
        left=0 if state.is_over else max(0, current.planned - current.moved),
        rate=average(current.moved, (current.ended or now) - current.begun),
        begun=current.begun,
        ended=current.ended,
        detail=current.detail,
        verbs=verbs_of(state),
    )


def _state(current: Rebalance) -> JobState:
    if current.ended is not None:
        return JobState.CANCELLED if current.cancelled else JobState.DONE
    return JobState.PAUSED if current.paused else JobState.RUNNING
