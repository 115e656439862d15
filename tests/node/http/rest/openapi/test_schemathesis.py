"""The API against its own description: schemathesis makes requests of it, and looks at the answers."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from support.node import running_node

if TYPE_CHECKING:
    import schemathesis
    from schemathesis import checks
    from schemathesis.core.result import Ok
else:
    schemathesis = pytest.importorskip("schemathesis")
    checks = pytest.importorskip("schemathesis.checks")
    Ok = pytest.importorskip("schemathesis.core.result").Ok

ENDLESS = ("/v1/events", "/v1/audit")
"""They go on until their client leaves, or may."""

CHECKS = [
    checks.not_a_server_error,
    checks.response_schema_conformance,
    checks.content_type_conformance,
    checks.status_code_conformance,
]


@schemathesis.serializer("application/x-ndjson")
def as_lines(_context: object, value: object) -> bytes:
    """A body of lines is given as it is."""
    return str(value).encode(errors="surrogatepass")


def tried(url: str, examples: int) -> int:
    """How many operations were tried, each with so many requests at most."""
    schema = schemathesis.openapi.from_url(f"{url}/v1/openapi.json")
    operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    for operation in operations:
        if operation.path not in ENDLESS:
            try_operation(operation, url, examples)
    return len(operations)


def try_operation(operation: schemathesis.APIOperation[Any, Any, Any, Any], url: str, examples: int) -> None:
    @seed(0)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def one(case: schemathesis.Case[Any]) -> None:
        response = case.call(base_url=url, timeout=20)
        if response.status_code in (500, 504):  # what the cluster refuses, as ipfs-cluster answers it
            assert response.json()["code"] == response.status_code
        else:
            case.validate_response(response, checks=CHECKS)

    one()


async def test_answers_are_as_the_description_says(tmp_path: Path) -> None:
    async with running_node(tmp_path) as node:
        assert await asyncio.to_thread(tried, node.faces.api.url, 1) > 40
        assert node.parts.guard.failures == 0


@pytest.mark.slow
async def test_answers_are_as_the_description_says_to_many_requests(tmp_path: Path) -> None:
    async with running_node(tmp_path) as node:
        assert await asyncio.to_thread(tried, node.faces.api.url, 60) > 40
        assert node.parts.guard.failures == 0
