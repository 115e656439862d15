"""The document, made from the application's own router: a route that there is cannot be missing in it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from aiohttp import web

from node.http.go.gojson import Json
from node.http.rest.json_errors import json_response
from node.http.rest.openapi.answer_table import ANSWERS, BODIES, AnswerFacts
from node.http.rest.openapi.parameter_names import RouteKey, taken_by
from node.http.rest.openapi.parameter_table import PARAMETERS, PATH_PARAMETERS, ParameterFacts
from node.http.rest.openapi.schemas import SCHEMAS
from node.version import VERSION

_ERROR: Json = {
    "description": "an error",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
}
_IN_BRACES = re.compile(r"\{(\w+)\}")


def add_routes(app: web.Application) -> None:
    app.router.add_get("/v1/openapi.json", openapi)


async def openapi(request: web.Request) -> web.Response:
    """This API as OpenAPI 3.1."""
    return json_response(openapi_document(request.app))


def openapi_document(app: web.Application) -> dict[str, Json]:
    paths: dict[str, dict[str, Json]] = {}
    for route in routes_of(app):
        method, path = route.key
        paths.setdefault(path, {})[method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Pinfold", "version": VERSION, "description": "The cluster REST API of a node."},
        "security": [{}, {"bearer": []}, {"basic": []}],
        "paths": {path: dict(operations) for path, operations in paths.items()},
        "components": {
            "schemas": dict(SCHEMAS),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "basic": {"type": "http", "scheme": "basic"},
            },
        },
    }


class DescribedRoute(NamedTuple):
    """One method of one path, and what its handler says of itself (its docstring)."""

    key: RouteKey
    says: str


def routes_of(app: web.Application) -> Iterator[DescribedRoute]:
    """All but HEAD, which GET stands for."""
    for route in app.router.routes():
        if route.method != "HEAD" and route.resource is not None:
            says = (route.handler.__doc__ or "").strip()
            yield DescribedRoute((route.method, route.resource.canonical), says)


def _operation(route: DescribedRoute) -> Json:
    method, path = route.key
    summary, _, more = route.says.partition("\n")
    operation: dict[str, Json] = {
        "operationId": f"{method.lower()}{re.sub(r'[^a-zA-Z0-9]+', '_', path).rstrip('_')}",
        "summary": summary,
        "description": " ".join(more.split()),
        "tags": ["pinfold" if path.startswith("/v1/") else "ipfs-cluster"],
        "parameters": [*_parameters(route.key)],
        "responses": _responses(ANSWERS.get(route.key, AnswerFacts())),
    }
    if body := BODIES.get(route.key):
        operation["requestBody"] = {"required": True, "content": {body.media: {"schema": dict(body.schema)}}}
    return operation


def _parameters(route: RouteKey) -> Iterator[Json]:
    for name in _IN_BRACES.findall(route[1]):
        yield _parameter(name, PATH_PARAMETERS[name], "path")
    taken = taken_by(route)
    for name in sorted(taken.names):
        yield _parameter(name, PARAMETERS[name], "query")


def _parameter(name: str, facts: ParameterFacts, where: str) -> Json:
    return {
        "name": name,
        "in": where,
        "required": where == "path",
        "description": facts.means,
        "schema": dict(facts.schema),
    }


def _responses(facts: AnswerFacts) -> dict[str, Json]:
    found: dict[str, Json] = {str(status): {"description": "done"} for status in facts.statuses}
    if not facts.statuses:
        found["200"] = {"description": _described(facts), "content": {facts.media: _content(facts)}}
    if facts.lines:
        found["204"] = {"description": "there is none"}
    return {**found, "default": _ERROR}


def _described(facts: AnswerFacts) -> str:
    return "a JSON object a line, as they come" if facts.lines else "the answer"


def _content(facts: AnswerFacts) -> Mapping[str, Json]:
    if not facts.schema:
        return {}
    value: Json = {"$ref": f"#/components/schemas/{facts.schema}"}
    return {"schema": {"type": "array", "items": value} if facts.many else value}
