"""Errors as ipfs-cluster answers them: `{"code":404,"message":"not found"}`, the code being the status."""

from __future__ import annotations

from aiohttp import web
from aiohttp.typedefs import Handler

from node.http.errors import EXPECTED, client_closed_request, status_of, text_of
from node.http.go import gojson

JSON_HEADERS = {"Content-Type": "application/json"}


def json_response(value: gojson.Json, status: int = 200) -> web.Response:
    return web.Response(status=status, body=gojson.encode(value), headers=JSON_HEADERS)


def error_response(status: int, message: str) -> web.Response:
    return json_response({"code": status, "message": message}, status)


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Unknown routes are 404 with a body, wrong methods 405 without, as upstream's router has it."""
    try:
        return await handler(request)
    except ConnectionError:
        return client_closed_request()
    except EXPECTED as error:
        return error_response(status_of(error), text_of(error))
    except web.HTTPNotFound:
        return error_response(404, "not found")
    except web.HTTPMethodNotAllowed as error:
        return web.Response(status=405, headers={"Allow": error.headers["Allow"]})


def without_slash(request: web.Request) -> web.Response | None:
    """A slash at the end is redirected away, query kept (upstream's rule); `/` itself is an unknown route."""
    path, query = request.rel_url.raw_path, request.rel_url.raw_query_string
    if len(path) > 1 and path.endswith("/"):
        target = "/" + path.strip("/") + (f"?{query}" if query else "")
        return web.Response(status=307, headers={"Location": target})
    return None
