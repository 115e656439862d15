"""The real ipfs-cluster-ctl drives a node: Go's HTTP client, its trailers, its JSON types, its multipart."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from support.kubo import peer_command
from support.node import eventually, running_node

from blockstore.block import Block
from cluster.pin import Wish
from node.config.sections import ApiConfig, Config, StorageConfig
from node.datadir.api_secret import read_secret
from node.node import Node

pytestmark = pytest.mark.interop


class Ctl:
    """ipfs-cluster-ctl against one node."""

    def __init__(self, node: Node, host: str = "") -> None:
        self._host = host or f"/ip4/127.0.0.1/tcp/{node.faces.api.port}"

    async def __call__(self, *arguments: str) -> str:
        """Standard output; raises where the command fails."""
        code, out, err = await self.run(*arguments)
        assert code == 0, f"{arguments}: {out}{err}"
        return out

    async def run(self, *arguments: str) -> tuple[int | None, str, str]:
        process = await asyncio.create_subprocess_exec(
            peer_command("ipfs-cluster-ctl"),
            "--host",
            self._host,
            *arguments,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        return process.returncode, out.decode(), err.decode()


@asynccontextmanager
async def ctl(tmp_path: Path, config: Config | None = None) -> AsyncIterator[tuple[Node, Ctl]]:
    async with running_node(tmp_path / "node", config) as node:
        yield node, Ctl(node)


async def test_id_version_and_peers(tmp_path: Path) -> None:
    async with ctl(tmp_path) as (node, run):
        assert (await run("id")).startswith(f"{node.parts.peer} | ")
        assert "Sees 0 other peers" in await run("peers", "ls")
        assert (await run("version")).startswith("1.1.6+pinfold")


async def test_a_file_and_a_folder_are_added_with_the_cids_of_ipfs_cluster(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"hello world\n")
    folder = tmp_path / "folder"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "with space & ünïcödé+").write_bytes(b"x" * 600_000)
    (folder / "link").symlink_to("deep")
    async with ctl(tmp_path) as (_, run):
        cid = (await run("add", "-Q", str(tmp_path / "file"))).strip()
        assert cid == "QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o"
        lines = (await run("add", "-r", "--name", "tree", "--metadata", "a=b", str(folder))).splitlines()
        assert "folder/deep/with space & ünïcödé+" in "\n".join(lines)
        root = lines[-1].split()[1]
        pin = json.loads(await run("--enc=json", "pin", "ls", root))
        assert (pin["name"], pin["metadata"]) == ("tree", {"a": "b"})
        assert "PINNED" in await run("status", root)


@pytest.mark.parametrize(
    "options", [["--no-stream"], ["-w"], ["--cid-version=1", "--raw-leaves"], ["--no-pin"]]
)
async def test_options_of_add(tmp_path: Path, options: list[str]) -> None:
    (tmp_path / "file").write_bytes(b"data" * 100_000)
    async with ctl(tmp_path) as (_, run):
        assert "added" in await run("add", *options, str(tmp_path / "file"))


async def test_pins_come_and_go(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"pin me")
    async with ctl(tmp_path) as (_, run):
        cid = (await run("add", "-Q", str(tmp_path / "file"))).strip()
        assert cid in await run("pin", "ls")
        assert "UNPINNED" in await run("pin", "rm", cid)
        assert (await run("pin", "ls")).strip() == ""
        added = await run("pin", "add", "--name", "again", "--metadata", "k=v", "--wait", cid)
        assert "PINNED" in added
        assert "again" in await run("pin", "ls", cid)
        assert cid in await run("status", "--filter", "pinned")
        assert (await run("status", "--filter", "error")).strip() == ""
        assert cid in await run("recover", cid)
        await run("recover")


async def test_many_pins_stream_with_trailers(tmp_path: Path) -> None:
    blocks = [Block.of(str(number).encode()) for number in range(300)]
    async with ctl(tmp_path) as (node, run):
        await node.parts.blocks.put_many(blocks)
        await asyncio.gather(*(node.parts.add_service.pin_root(block.cid, Wish()) for block in blocks))
        assert len((await run("pin", "ls")).splitlines()) == 300

        async def all_pinned() -> bool:
            return (await run("status")).count("PINNED") == 300

        await eventually(all_pinned)


async def test_health(tmp_path: Path) -> None:
    async with ctl(tmp_path) as (node, run):
        assert "ping" in await run("health", "metrics")
        assert node.parts.peer in await run("health", "metrics", "ping")
        assert "freespace" in await run("health", "metrics", "freespace")
        assert node.parts.peer in await run("health", "graph")
        assert (await run("health", "alerts")).strip() == ""


async def test_garbage_is_collected_and_named_and_traffic_is_told(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"nothing needs it")
    async with ctl(tmp_path) as (_, run):
        await run("add", "--no-pin", "--cid-version", "1", str(tmp_path / "x"))
        gone = str(Block.of(b"nothing needs it").cid)
        assert gone in await run("ipfs", "gc")
        assert gone not in await run("ipfs", "gc", "--local")
        assert json.loads(await run("--enc", "json", "health", "bandwidth")) == {}


async def test_lines_of_an_add_say_who_is_to_have_it(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"x" * 1000)
    async with ctl(tmp_path) as (node, run):
        added = json.loads(await run("--enc", "json", "add", str(tmp_path / "x")))
        assert added["allocations"] == [node.parts.peer]


async def test_it_comes_by_a_unix_socket(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("s") / "api"
    async with running_node(tmp_path, Config(api=ApiConfig(socket=str(path)))) as node:
        assert (await Ctl(node, f"/unix{path}")("id")).startswith(node.parts.peer)


async def test_errors_carry_code_and_message(tmp_path: Path) -> None:
    async with ctl(tmp_path) as (_, run):
        code, out, err = await run.run("pin", "add", "notacid")
        assert code != 0
        code, out, err = await run.run("pin", "rm", "QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o")
        assert code == 2
        assert "pin is not part of the pinset" in out + err


async def test_an_error_in_the_middle_of_an_add_reaches_the_user(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(random.Random(1).randbytes(5_000_000))
    async with ctl(tmp_path, config=Config(storage=StorageConfig(quota=100_000))) as (_, run):
        code, out, err = await run.run("add", str(tmp_path / "file"))
        assert code != 0, out
        assert "quota" in out + err


async def test_a_closed_api_takes_the_secret_as_a_password(tmp_path: Path) -> None:
    closed = Config(api=ApiConfig(auth="always"))
    async with ctl(tmp_path, config=closed) as (node, run):
        code, out, err = await run.run("id")
        assert (code, "api.secret" in out + err) == (2, True), out + err
        for given in ("pinfold:wrong", "wrong:wrong"):
            assert (await run.run("--force-http", "--basic-auth", given, "id"))[0] == 2
        for user in ("pinfold", "anybody"):
            given = f"{user}:{read_secret(tmp_path / 'node' / 'api.secret')}"
            assert (await run("--force-http", "--basic-auth", given, "id")).startswith(node.parts.peer)
