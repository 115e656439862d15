"""A job as it is at one moment, and where jobs come from: values and the seam."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from node.errors import NodeError


class JobKind(StrEnum):
    ADD = "add"
    IMPORT = "import"
    DRAIN = "drain"
    REBALANCE = "rebalance"
    REPAIR = "repair"
    GC = "gc"
    SCRUB = "scrub"
    SYNC = "sync"


class JobState(StrEnum):
    RUNNING = "running"
    WAITING = "waiting"  # it goes on by itself when what it waits for is there
    PAUSED = "paused"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_over(self) -> bool:
        return self in (JobState.DONE, JobState.FAILED, JobState.CANCELLED)


class JobVerb(StrEnum):
    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"


def verbs_of(state: JobState) -> tuple[JobVerb, ...]:
    """What may be asked of work that can be paused and called off as long as it goes on."""
    if state.is_over:
        return ()
    return (JobVerb.RESUME if state is JobState.PAUSED else JobVerb.PAUSE, JobVerb.CANCEL)


@dataclass(frozen=True, slots=True)
class Job:
    """`done` and `left` count `unit`s; `left` is None where it is not known. Times in seconds since 1970.

    `rate` is units a second lately, `subject` what it is about, `detail` what keeps it or ended it, `verbs`
    what may be asked of it now.
    """

    id: str
    kind: JobKind
    state: JobState
    subject: str
    unit: str
    done: int
    left: int | None
    rate: float
    begun: float
    ended: float | None = None
    detail: str = ""
    verbs: tuple[JobVerb, ...] = ()

    @property
    def seconds_left(self) -> float | None:
        """By the rate of late; None where that says nothing."""
        if self.left is None or self.rate <= 0 or self.state is not JobState.RUNNING:
            return None
        return self.left / self.rate


class JobSource(Protocol):
    """One kind of work, or several."""

    async def jobs(self) -> Sequence[Job]:
        """Those that there are, and those that have ended lately."""
        ...

    async def command(self, job: Job, verb: JobVerb) -> None:
        """Do that to one of its jobs, which has it among its verbs."""
        ...


class NoSuchJob(NodeError):
    """No job has that id, or it ended too long ago."""

    def __init__(self, job: str) -> None:
        super().__init__(f"no job is {job!r}: `pinfold jobs` lists them")


class JobRefuses(NodeError):
    """What cannot be asked of a job as it is."""


class JobCancelled(NodeError):
    """The work was cancelled by a user, as a job."""
