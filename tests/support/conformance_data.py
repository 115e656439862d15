"""The data files of gateway-conformance, where they are: archives and records with known content.

They are looked for in PINFOLD_GATEWAY_FIXTURES, else in `shared/fixtures/gateway` beside the project.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from blockstore.car.importer import import_car
from blockstore.cid import CID
from node.config.sections import GatewayConfig
from node.names.errors import BadRecord
from node.names.name import IpnsName
from support.gateway import Gateway, open_gateway

_BESIDE = Path(__file__).parents[2].parent / "shared" / "fixtures" / "gateway"
FOLDER = Path(os.environ.get("PINFOLD_GATEWAY_FIXTURES") or _BESIDE)

needed = pytest.mark.skipif(not FOLDER.is_dir(), reason="the data files of gateway-conformance are not here")


def static_names() -> str:
    """What IPFS_NS_MAP is to hold."""
    return (FOLDER / "dnslinks.IPFS_NS_MAP").read_text().strip()


class Provisioned:
    """A gateway with all of the data."""

    def __init__(self, gateway: Gateway, refused: set[str]) -> None:
        self.gateway = gateway
        self.refused = refused  # names of keys whose record does not verify

    async def cid(self, root: str, path: str = "") -> str:
        """What lies at the end of a path."""
        answer = await self.gateway.head(f"/ipfs/{root}{path}?format=raw")
        return answer.headers["X-Ipfs-Roots"].split(",")[-1]

    async def block(self, root: str, path: str = "") -> bytes:
        return (await self.gateway.get(f"/ipfs/{root}{path}?format=raw")).body


@asynccontextmanager
async def provisioned(folder: Path) -> AsyncIterator[Provisioned]:
    """As the suite wants a gateway: its archives unpinned, its records under their names, no network."""
    async with open_gateway(folder, GatewayConfig(x_ipfs_path=True)) as gateway:
        for file in _files("car"):
            await import_car(gateway.node.parts.blocks, _pieces(file.read_bytes()))
        refused = set()
        for file in _files("ipns-record"):
            name = IpnsName.parse(file.stem.partition("_")[0])
            try:
                await gateway.node.parts.publishing.keep(name, file.read_bytes())
            except BadRecord:
                refused.add(str(name))
        yield Provisioned(gateway, refused)


def old(text: str) -> str:
    """A CID in its form of today."""
    return str(CID.parse(text).as_v1())


def _files(extension: str) -> list[Path]:
    return sorted(FOLDER.rglob(f"*.{extension}"))


async def _pieces(data: bytes) -> AsyncIterator[bytes]:
    yield data
