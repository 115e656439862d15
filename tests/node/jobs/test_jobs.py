"""Long work as jobs: counted, paused, resumed, cancelled, and remembered when it has ended."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from support.clock import virtual_time
from support.memory_cluster import MemoryCluster, wall_clock

from blockstore.common.guard import Guard
from cluster.moving.rebalancing import Rebalance
from node.jobs.job import Job, JobCancelled, JobKind, JobRefuses, JobState, JobVerb, NoSuchJob
from node.jobs.job_file import JobFile
from node.jobs.jobs import HISTORY, Jobs
from node.jobs.pace import Pace
from node.jobs.rebalance_jobs import RebalanceJobs

GOOD = (
    '{"version":1,"jobs":[{"id":"gc-1","kind":"gc","state":"done","subject":"this node","unit":"blocks",'
    '"done":1,"left":null,"rate":0,"begun":3.5,"ended":4,"detail":""}]}'
)


def jobs_in(folder: Path) -> Jobs:
    return Jobs(JobFile(folder / "jobs.json"), Guard(), asyncio.get_running_loop().time)


async def work(jobs: Jobs, seconds: int, kind: JobKind = JobKind.ADD) -> None:
    with jobs.running(kind, "a film", "bytes") as job:
        job.expect(100 * seconds)
        for _ in range(seconds):
            await asyncio.sleep(1)
            await job.turn(100)


@virtual_time
async def test_a_job_says_what_is_done_what_is_left_and_how_long_that_takes(tmp_path: Path) -> None:
    jobs, heard = jobs_in(tmp_path), list[Job]()
    jobs.on_change(heard.append)
    running = asyncio.create_task(work(jobs, 20))
    await asyncio.sleep(5.5)
    (job,) = await jobs.all()
    assert (job.kind, job.state, job.done, job.left) == (JobKind.ADD, JobState.RUNNING, 500, 1500)
    assert job.seconds_left == pytest.approx(15, rel=0.2)
    assert job.verbs == (JobVerb.PAUSE, JobVerb.CANCEL)
    await running
    (job,) = await jobs.all()
    assert (job.state, job.left, job.seconds_left, job.verbs) == (JobState.DONE, 0, None, ())
    assert [one.state for one in heard] == [JobState.RUNNING, JobState.DONE]


@virtual_time
async def test_a_paused_job_waits_and_a_cancelled_one_ends(tmp_path: Path) -> None:
    jobs = jobs_in(tmp_path)
    running = asyncio.create_task(work(jobs, 20))
    await asyncio.sleep(3.5)
    (job,) = await jobs.all()
    assert (await jobs.command(job.id, JobVerb.PAUSE)).state is JobState.PAUSED
    await asyncio.sleep(100)
    assert (await jobs.one(job.id)).done == 400
    with pytest.raises(JobRefuses, match="pause cannot be asked of it now; resume, cancel can"):
        await jobs.command(job.id, JobVerb.PAUSE)
    assert (await jobs.command(job.id, JobVerb.RESUME)).state is JobState.RUNNING
    await asyncio.sleep(2)
    await jobs.command(job.id, JobVerb.PAUSE)
    await jobs.command(job.id, JobVerb.CANCEL)
    with pytest.raises(JobCancelled):
        await running
    assert (await jobs.one(job.id)).state is JobState.CANCELLED
    with pytest.raises(JobRefuses, match="nothing can"):
        await jobs.command(job.id, JobVerb.RESUME)
    with pytest.raises(NoSuchJob):
        await jobs.command("add-0", JobVerb.PAUSE)


@virtual_time
async def test_what_went_wrong_is_told_and_what_took_no_time_is_forgotten(tmp_path: Path) -> None:
    jobs = jobs_in(tmp_path)
    with jobs.running(JobKind.GC, "this node", "blocks"):
        pass
    assert await jobs.all() == []
    with pytest.raises(OSError, match="full"), jobs.running(JobKind.GC, "this node", "blocks"):
        raise OSError("the disk is full")
    (job,) = await jobs.all()
    assert (job.state, job.detail) == (JobState.FAILED, "the disk is full")
    left = asyncio.create_task(work(jobs, 9))
    await asyncio.sleep(2)
    left.cancel()
    await asyncio.wait([left])
    assert (await jobs.all())[0].state is JobState.CANCELLED, "its client went away"


@virtual_time
async def test_a_bounded_number_is_remembered_over_a_restart_the_last_ones_first(tmp_path: Path) -> None:
    jobs = jobs_in(tmp_path)
    looking = asyncio.create_task(jobs.run())
    for _ in range(HISTORY + 5):
        await work(jobs, 2)
    await asyncio.sleep(10)
    looking.cancel()
    known = await jobs.all()
    assert len(known) == HISTORY
    assert known == sorted(known, key=lambda job: -(job.ended or 0))
    assert await jobs_in(tmp_path).all() == known


@pytest.mark.parametrize(
    "text",
    ["", "null", "[" * 100_000, '{"version":2}', '{"version":1,"jobs":[{"id":7}]}',
     '{"version":1,"jobs":["x"]}',
     *(GOOD.replace("3.5", number) for number in ("1e999", "NaN", '"Infinity"'))],
)  # fmt: skip
@virtual_time
async def test_a_file_that_cannot_be_read_is_told_and_forgotten(
    tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "jobs.json").write_text(GOOD)
    assert [job.id for job in await jobs_in(tmp_path).all()] == ["gc-1"]
    (tmp_path / "jobs.json").write_text(text)
    assert await jobs_in(tmp_path).all() == []
    assert "cannot be read" in caplog.text


@virtual_time
async def test_work_that_is_no_requests_is_listed_told_of_and_asked(tmp_path: Path) -> None:
    jobs, heard = jobs_in(tmp_path), list[JobState]()
    source = OneJob()
    jobs.add_source(source)
    jobs.on_change(lambda job: heard.append(job.state))
    looking = asyncio.create_task(jobs.run())
    await asyncio.sleep(11)
    assert heard == [JobState.RUNNING]
    assert (await jobs.command("drain-x", JobVerb.PAUSE)).state is JobState.PAUSED
    await asyncio.sleep(11)
    source.there = False
    await asyncio.sleep(11)
    assert heard == [JobState.RUNNING, JobState.PAUSED, JobState.CANCELLED]
    assert [job.id for job in await jobs.all()] == ["drain-x"]
    looking.cancel()


class OneJob:
    """A source that has one job, or none."""

    def __init__(self) -> None:
        self.there = True
        self.state = JobState.RUNNING

    async def jobs(self) -> list[Job]:
        job = Job("drain-x", JobKind.DRAIN, self.state, "x", "pins", 1, 2, 0.5, 0.0, verbs=(JobVerb.PAUSE,))
        return [job] if self.there else []

    async def command(self, job: Job, verb: JobVerb) -> None:
        assert (job.id, verb) == ("drain-x", JobVerb.PAUSE)
        self.state = JobState.PAUSED


def test_the_rate_is_that_of_the_last_half_minute() -> None:
    pace = Pace(0.0)
    for second in range(1, 101):
        pace.observe(1000 * second, float(second))
    for second in range(101, 141):
        pace.observe(100_000 + 10 * (second - 100), float(second))
    assert pace.rate(100_400, 140.0) == pytest.approx(10, rel=0.1)
    assert Pace(5.0).rate(0, 5.0) == 0.0


@virtual_time
async def test_a_rebalance_goes_on_after_a_restart_paused_where_it_was(tmp_path: Path) -> None:
    world = MemoryCluster(2)
    async with world.all() as clusters:
        rebalancing = clusters[0].rebalancing
        jobs = jobs_in(tmp_path)
        jobs.add_source(RebalanceJobs(rebalancing, jobs.unfinished))
        looking = asyncio.create_task(jobs.run())
        rebalancing.go_on(Rebalance(wall_clock(), 100, moved=40))
        rebalancing.pause(True)
        await asyncio.sleep(11)
        looking.cancel()
    async with world.all() as clusters:
        jobs = jobs_in(tmp_path)
        jobs.add_source(RebalanceJobs(clusters[0].rebalancing, jobs.unfinished))
        (job,) = await jobs.all()
        assert (job.kind, job.state, job.done, job.left) == (JobKind.REBALANCE, JobState.PAUSED, 40, 60)
        assert (await jobs.command(job.id, JobVerb.RESUME)).state is JobState.RUNNING
        await asyncio.sleep(30)
        (job,) = await jobs.all()
        assert (job.state, job.verbs) == (JobState.DONE, ()), "there is nothing to move"


@virtual_time
async def test_what_was_asked_of_a_rebalance_is_written_down_before_it_is_answered(tmp_path: Path) -> None:
    async with MemoryCluster(2).all() as clusters:
        rebalancing, jobs = clusters[0].rebalancing, jobs_in(tmp_path)
        jobs.add_source(RebalanceJobs(rebalancing, ()))
        rebalancing.go_on(Rebalance(wall_clock(), 100, moved=40, paused=True))
        await jobs.look()
        assert [job.state for job in jobs_in(tmp_path).unfinished] == [JobState.PAUSED]
        rebalancing.pause(False)
        (job,) = await jobs.all()
        await jobs.command(job.id, JobVerb.PAUSE)
        assert [job.state for job in jobs_in(tmp_path).unfinished] == [JobState.PAUSED]
        await jobs.command(job.id, JobVerb.CANCEL)
        assert jobs_in(tmp_path).unfinished == ()
