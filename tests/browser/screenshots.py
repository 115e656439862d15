"""`make screenshots`: the pictures of docs/images, taken again. Needs Chromium and pngquant."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from browser import samples
from browser.cluster_picture import cluster_picture
from support.browser import Page, open_browser
from support.gateway import Gateway, open_gateway

_COLOURS = "48"


class Shot(NamedTuple):
    name: str
    path: str
    width: int
    height: int
    scheme: str


async def take(folder: Path) -> None:
    """All pictures, into that folder."""
    with tempfile.TemporaryDirectory() as scratch:
        async with (
            open_gateway(Path(scratch) / "node") as gateway,
            open_browser(Path(scratch) / "profile") as browser,
            browser.page() as page,
        ):
            picture = await cluster_picture(page, Path(scratch))
            await asyncio.to_thread(_keep, folder / "cluster.png", picture)
            for shot in await _shots(gateway):
                await _take(page, gateway.node.faces.gateway.url, shot, folder)


async def _shots(gateway: Gateway) -> list[Shot]:
    site, many = await samples.folder(gateway), await samples.sharded(gateway, 100_000)
    return [
        Shot("listing-light", f"/ipfs/{site}/", 960, 700, "light"),
        Shot("listing-dark", f"/ipfs/{site}/", 960, 700, "dark"),
        Shot("listing-inner", f"/ipfs/{site}/photos/2026/", 960, 360, "light"),
        Shot("listing-narrow", f"/ipfs/{site}/", 320, 700, "dark"),
        Shot("listing-sharded", f"/ipfs/{many}/", 960, 520, "light"),
        Shot("node", f"/ipfs/{await samples.node(gateway)}", 960, 620, "light"),
        Shot("welcome", "/", 960, 360, "light"),
        Shot("error", f"/ipfs/{site}/photos/2025.jpg", 960, 240, "dark"),
    ]


async def _take(page: Page, gateway: str, shot: Shot, folder: Path) -> None:
    await page.look(shot.width, shot.height, shot.scheme)
    await page.open(gateway + shot.path)
    await asyncio.to_thread(_keep, folder / f"{shot.name}.png", await page.screenshot())


def _keep(file: Path, picture: bytes) -> None:
    """Write a picture with as few colours as it needs."""
    file.write_bytes(picture)
    subprocess.run(["pngquant", "--force", "--strip", "--ext", ".png", _COLOURS, str(file)], check=True)
    print(f"{file}: {file.stat().st_size:,} bytes")


if __name__ == "__main__":
    asyncio.run(take(Path(sys.argv[1])))
