"""Programs that copy a site copy a directory once: no archive of it, and nothing again by its CID."""

import asyncio
import re
import shutil
from pathlib import Path
from urllib.parse import unquote

import pytest
from support.gateway import open_gateway

from node.config.sections import GatewayConfig

FILES = {
    "site/a.txt": b"a" * 5000,
    "site/with space & ü.txt": b"s" * 10,
    "site/sub/b.txt": b"b" * 3000,
    "site/sub/deep/c.txt": b"c" * 100,
}
ABOVE = ["", "/sub", "/sub/deep"]


def links_of(page: str) -> list[str]:
    """As programs read it to which a comment ends at the next `-->`, wherever it begins."""
    return re.findall(r'href="([^"]*)"', re.sub(r"<!--.*?-->", "", page, flags=re.DOTALL))


async def test_a_listing_links_to_its_entries_alone(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        root = await gateway.add(FILES)
        for directory in ABOVE:
            page = (await gateway.get(f"/ipfs/{root}{directory}/")).text
            links = [link for link in links_of(page) if not link.startswith("data:")]
            assert links
            assert all(link.startswith(f"/ipfs/{root}{directory}/") for link in links)
            assert not any("?" in link for link in links)
            assert page.count('class="ipfs-hash"') == len(links) - bool(directory), "people have them all"
            assert page.count('<button name="format"') == 3


@pytest.mark.skipif(shutil.which("wget") is None, reason="needs wget")
@pytest.mark.parametrize(
    "options", [[], ["--no-parent"], ["--mirror", "--page-requisites", "--convert-links"]]
)
async def test_wget_fetches_each_file_once(tmp_path: Path, options: list[str]) -> None:
    asked = tmp_path / "access.log"
    async with open_gateway(tmp_path / "node", GatewayConfig(access_log=str(asked))) as gateway:
        root = await gateway.add(FILES)
        process = await asyncio.create_subprocess_exec(
            "wget", "--quiet", "--recursive", *options, "--directory-prefix", str(tmp_path / "copy"),
            f"{gateway.node.faces.gateway.url}/ipfs/{root}/",
        )  # fmt: skip
        assert await process.wait() == 0
    copied = {path.name for path in (tmp_path / "copy").rglob("*") if path.is_file()} - {"index.html"}
    assert copied == {name.rpartition("/")[2] for name in FILES}
    lines = [line.split('"')[1].split()[1] for line in asked.read_text().splitlines()]
    assert [line for line in lines if "?" in line] == []
    files = [unquote(line) for line in lines if line.endswith(".txt") and "robots" not in line]
    assert sorted(files) == sorted(f"/ipfs/{root}/{name.partition('/')[2]}" for name in FILES)
