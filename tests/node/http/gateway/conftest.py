"""Gateways for the tests of this folder."""

import pytest
from support.gateway import open_gateway


@pytest.fixture
async def gateway(tmp_path):
    async with open_gateway(tmp_path) as opened:
        yield opened
