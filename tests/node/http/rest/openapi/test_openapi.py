"""/v1/openapi.json says what the router and the routes do, and no more."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from support.node import running_node

from node.http.rest.app import cluster_app
from node.http.rest.openapi.answer_table import ANSWERS, BODIES
from node.http.rest.openapi.document import openapi_document, routes_of
from node.http.rest.openapi.parameter_names import OPEN, taken_by
from node.http.rest.openapi.parameter_table import PARAMETERS
from node.http.rest.openapi.schemas import SCHEMAS
from node.http.rest.parameters import LOOK_THEMSELVES, TAKES

PIN_ROUTES = (("POST", "/pins/{cid}"), ("POST", "/v1/pins"), ("GET", "/v1/pins"), ("GET", "/v1/pins/count"))
CID = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"


@asynccontextmanager
async def app_of_a_node(tmp_path: Path) -> AsyncIterator[web.Application]:
    async with running_node(tmp_path) as node:
        yield cluster_app(node.parts)


async def test_every_route_of_the_router_is_described_by_its_handler_and_by_nothing_else(
    tmp_path: Path,
) -> None:
    async with app_of_a_node(tmp_path) as app:
        routes = {
            (route.method, route.resource.canonical)
            for route in app.router.routes()
            if route.resource is not None and route.method != "HEAD"
        }
        described = list(routes_of(app))
        document = openapi_document(app)
    assert {route.key for route in described} == routes
    assert [route.key for route in described if not route.says] == []
    told = {(method.upper(), path) for path, one in _paths(document).items() for method in one}
    assert told == routes
    assert OPEN.keys() == LOOK_THEMSELVES
    assert ANSWERS.keys() | BODIES.keys() | TAKES.keys() <= routes
    assert {facts.schema for facts in ANSWERS.values()} - {""} <= SCHEMAS.keys()


def _paths(document: Mapping[str, object]) -> Mapping[str, Mapping[str, object]]:
    paths = document["paths"]
    assert isinstance(paths, dict)
    return paths


async def test_every_parameter_is_one_that_some_route_takes(tmp_path: Path) -> None:
    async with app_of_a_node(tmp_path) as app:
        taken = set[str]().union(*(taken_by(route.key).names for route in routes_of(app)))
    assert taken == PARAMETERS.keys()


@pytest.mark.parametrize("route", PIN_ROUTES)
async def test_a_route_knows_each_parameter_that_is_told_of_it(
    tmp_path: Path, route: tuple[str, str]
) -> None:
    method, path = route
    names = taken_by(route).names
    assert len(names) > 5
    async with running_node(tmp_path) as node, aiohttp.ClientSession() as session:
        url = f"{node.faces.api.url}{path.format(cid=CID)}"
        for name in names:
            async with session.request(method, url, params={name: ""}) as response:
                assert "is unknown" not in await response.text(), name
        async with session.request(method, url, params={"nonsense": ""}) as response:
            assert (response.status, "is unknown" in await response.text()) == (400, True)


async def test_the_document_is_served(tmp_path: Path) -> None:
    async with running_node(tmp_path) as node, aiohttp.ClientSession() as session:
        async with session.get(f"{node.faces.api.url}/v1/openapi.json") as response:
            found = json.loads(await response.read())
        assert (response.status, found["openapi"]) == (200, "3.1.0")
        names = [one["operationId"] for path in found["paths"].values() for one in path.values()]
        assert len(names) == len(set(names)) > 40
