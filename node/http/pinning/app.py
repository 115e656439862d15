"""The listener `pinning`: /pins as the specification has it, for callers with a token.

A caller sees and changes the requests of its token's owner; those without an owner share theirs.
"""

from __future__ import annotations

from aiohttp import web
from aiohttp.typedefs import Handler

from node.access.rights import Right
from node.http.admin.auditing import audited, note
from node.http.admin.browser_headers import nothing_runs
from node.http.admin.callers import CALLER, CALLERS, Callers
from node.http.app_key import PARTS
from node.http.connection import mark_busy
from node.http.errors import EXPECTED, client_closed_request, status_of, text_of
from node.http.go.query_values import check_repeated, check_text
from node.http.pinning import shapes
from node.http.pinning.bodies import MAX_BODY, wanted_pin
from node.http.pinning.listing import request_query
from node.http.request_meter import METER, RequestMeter, metered
from node.parts import Parts

_READS = ("GET", "HEAD")


def pinning_app(parts: Parts, *, local: bool = True) -> web.Application:
    """All routes of the listener `pinning`; `local`: only this machine reaches it."""
    app = web.Application(middlewares=[metered, mark_busy, _answered], client_max_size=MAX_BODY)
    app[CALLERS] = Callers(parts.credentials, parts.config.pinning.host, always=True, local=local)
    app.on_response_prepare.append(nothing_runs)
    app[PARTS] = parts
    app[METER] = RequestMeter()
    app.router.add_get("/pins", list_requests)
    app.router.add_post("/pins", add)
    app.router.add_get("/pins/{id}", get)
    app.router.add_post("/pins/{id}", replace)
    app.router.add_delete("/pins/{id}", remove)
    return app


@web.middleware
async def _answered(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every answer in the specification's form; what changes something is in the audit log."""
    if request.method in _READS:
        return await _checked(request, handler, Right.READ)
    audit = request.app[PARTS].audit
    return await audited(request, audit, "pinning", lambda: _checked(request, handler, Right.PIN))


async def _checked(request: web.Request, handler: Handler, needed: Right) -> web.StreamResponse:
    if refused := request.app[CALLERS].refusal(request, needed):
        response = shapes.error(refused.status, refused.text)
        response.headers.extend(refused.headers)
        return response
    try:
        check_text(request.rel_url.raw_query_string)
        check_repeated(request.query)
        return await handler(request)
    except ConnectionError:
        return client_closed_request()
    except EXPECTED as error:
        return shapes.error(status_of(error), text_of(error))
    except web.HTTPRequestEntityTooLarge:
        return shapes.error(413, f"the body is above {MAX_BODY} bytes")
    except web.HTTPNotFound:
        return shapes.error(404, "there is nothing here but /pins and /pins/{requestid}")
    except web.HTTPMethodNotAllowed as error:
        response = shapes.error(405, f"{request.method} means nothing here")
        response.headers["Allow"] = error.headers["Allow"]
        return response


async def list_requests(request: web.Request) -> web.Response:
    query = request_query(request.query, request[CALLER].owner)
    return shapes.answer(shapes.listed(await request.app[PARTS].pinning.list(query)))


async def add(request: web.Request) -> web.Response:
    wanted = wanted_pin(await request.read())
    note(request, [wanted.cid])
    told = await request.app[PARTS].pinning.add(request[CALLER].owner, wanted)
    return shapes.answer(shapes.told(told), 202)


async def get(request: web.Request) -> web.Response:
    told = await request.app[PARTS].pinning.get(request[CALLER].owner, request.match_info["id"])
    return shapes.answer(shapes.told(told))


async def replace(request: web.Request) -> web.Response:
    wanted = wanted_pin(await request.read())
    note(request, [wanted.cid])
    service, owner = request.app[PARTS].pinning, request[CALLER].owner
    return shapes.answer(shapes.told(await service.replace(owner, request.match_info["id"], wanted)), 202)


async def remove(request: web.Request) -> web.Response:
    gone = await request.app[PARTS].pinning.remove(request[CALLER].owner, request.match_info["id"])
    note(request, [gone.wanted.cid])
    return web.Response(status=202)
