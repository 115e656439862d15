"""Gateways for the tests of this folder."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.gateway import open_gateway
from support.http_gateway import HttpGateway


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[HttpGateway]:
    async with open_gateway(tmp_path) as opened:
        yield opened
