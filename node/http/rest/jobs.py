"""/v1/jobs: long work, listed, paused, resumed and cancelled."""

from __future__ import annotations

from aiohttp import web

from node.http.app_key import PARTS
from node.http.go.gojson import Json
from node.http.rest.json_errors import json_response
from node.jobs.job import Job, JobVerb


def add_routes(app: web.Application) -> None:
    app.router.add_get("/v1/jobs", jobs)
    app.router.add_get("/v1/jobs/{job}", job)
    app.router.add_post("/v1/jobs/{job}/{verb}", command)


async def jobs(request: web.Request) -> web.Response:
    """`{"jobs":[…]}`: those that run first, then those that ended, the last one first."""
    return json_response({"jobs": [shape(one) for one in await request.app[PARTS].jobs.all()]})


async def job(request: web.Request) -> web.Response:
    """One job, as it is now."""
    return json_response(shape(await request.app[PARTS].jobs.one(request.match_info["job"])))


async def command(request: web.Request) -> web.Response:
    """`pause`, `resume` or `cancel` -> the job after that."""
    if request.match_info["verb"] not in [*JobVerb]:
        raise web.HTTPNotFound
    verb = JobVerb(request.match_info["verb"])
    return json_response(shape(await request.app[PARTS].jobs.command(request.match_info["job"], verb)))


def shape(one: Job) -> Json:
    """A job as JSON. `left` and `seconds_left` are null where they are not known, `ended` while it runs."""
    left = one.seconds_left
    return {
        "id": one.id,
        "kind": one.kind.value,
        "state": one.state.value,
        "subject": one.subject,
        "unit": one.unit,
        "done": one.done,
        "left": one.left,
        "rate": round(one.rate, 2),
        "seconds_left": None if left is None else round(left, 1),
        "begun": one.begun,
        "ended": one.ended,
        "detail": one.detail,
        "verbs": [verb.value for verb in one.verbs],
    }
