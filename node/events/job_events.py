"""Jobs as events: each time that one begins, is paused, resumed or cancelled, or ends."""

from __future__ import annotations

from node.events.event import EventKind, Facts
from node.events.feed import EventFeed
from node.jobs.job import Job
from node.jobs.jobs import Jobs


def follow_jobs(feed: EventFeed, jobs: Jobs) -> None:
    """From now on what becomes of them is published in the feed."""

    def changed(job: Job) -> None:
        feed.publish(EventKind.JOB, [(job.id, _facts(job))])

    jobs.on_change(changed)


def _facts(job: Job) -> Facts:
    return {
        "job": job.id,
        "kind": job.kind.value,
        "state": job.state.value,
        "subject": job.subject,
        "unit": job.unit,
        "done": job.done,
        "left": job.left,
        "detail": job.detail,
    }
