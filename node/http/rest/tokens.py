"""Tokens: made, listed and revoked under /v1/tokens; sessions by ipfs-cluster's `/token`."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from aiohttp import web

from node.access.caller import Proof
from node.access.jwt import issue
from node.access.rights import TokenScope
from node.access.token import Token
from node.access.tokens import Tokens
from node.http.admin.callers import CALLER
from node.http.app_key import PARTS
from node.http.errors import BadRequest
from node.http.go import gojson
from node.http.go.gojson import Json
from node.http.rest.json_errors import error_response, json_response
from node.http.rest.json_stream import stream_json

_NOBODY = "pinfold"  # who shows the secret without a user's name


def add_routes(app: web.Application) -> None:
    app.router.add_get("/v1/tokens", list_tokens, allow_head=False)
    app.router.add_post("/v1/tokens", create)
    app.router.add_delete("/v1/tokens/{name}", revoke)
    app.router.add_get("/token", session, allow_head=False)
    app.router.add_post("/token", session)


async def list_tokens(request: web.Request) -> web.StreamResponse:
    """A line a token, 204 without any. No text of one is told, since none is kept."""
    return await stream_json(request, _all(request.app[PARTS].credentials.tokens))


async def _all(tokens: Tokens) -> AsyncGenerator[Json]:
    for token in tokens.all():
        yield _shown(token)


async def create(request: web.Request) -> web.Response:
    """`name`, `scope`, and an `owner` that it is limited to -> the token, with its text this once."""
    query = request.query
    try:
        scope = TokenScope(query.get("scope", ""))
    except ValueError:
        raise BadRequest("parameter scope invalid: read, pin or admin") from None
    tokens = request.app[PARTS].credentials.tokens
    token, text = await tokens.create(query.get("name", ""), scope, query.get("owner", ""))
    return json_response({**_shown(token), "token": text})


async def revoke(request: web.Request) -> web.Response:
    """The token as it was; it is good for nothing any more."""
    tokens = request.app[PARTS].credentials.tokens
    return json_response(_shown(await tokens.revoke(request.match_info["name"])))


async def session(request: web.Request) -> web.Response:
    """A JWT that is as good as what the caller shows, for as long as that is good."""
    caller = request[CALLER]
    if caller.proof is Proof.NONE:
        response = error_response(401, "unauthorized")
        response.headers["WWW-Authenticate"] = 'Basic realm="Pinfold", charset="UTF-8"'
        return response
    return json_response({"token": issue(caller.name or _NOBODY, caller.key)})


def _shown(token: Token) -> dict[str, Json]:
    return {
        "name": token.name,
        "scope": token.scope.value,
        "owner": token.owner,
        "created": gojson.time(token.created),
    }
