"""The cluster REST API on a Unix socket: for its owner alone, replaced when stale, gone with its node."""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path

import pytest
from aiohttp import ClientSession, UnixConnector
from support.node import running_node

from node.config.sections import ApiConfig, Config
from node.http.listener import PortInUse


@pytest.fixture
def path() -> Path:
    """Short enough for a socket."""
    return Path(tempfile.mkdtemp(prefix="pf")) / "api"


def mode_of(path: Path) -> int:
    """0 where there is nothing."""
    return path.stat().st_mode & 0o777 if path.exists() else 0


async def ready(path: Path, host: str = "localhost") -> int:
    async with (
        ClientSession(connector=UnixConnector(str(path))) as client,
        client.get(f"http://{host}/health/ready") as answer,
    ):
        return answer.status


async def test_it_answers_beside_the_port_whatever_the_host_is_called(tmp_path: Path, path: Path) -> None:
    async with running_node(tmp_path, Config(api=ApiConfig(socket=str(path)))):
        assert mode_of(path) == 0o600
        assert [await ready(path), await ready(path, "anything.example")] == [204, 204]
    assert mode_of(path) == 0


async def test_what_a_dead_process_left_is_replaced_and_what_lives_is_not(tmp_path: Path, path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    config = Config(api=ApiConfig(socket=str(path)))
    async with running_node(tmp_path / "a", config):
        with pytest.raises(PortInUse, match=r"set api\.socket"):
            async with running_node(tmp_path / "b", config):
                pass
        assert await ready(path) == 204


async def test_a_file_is_never_removed(tmp_path: Path, path: Path) -> None:
    os.mknod(path)
    with pytest.raises(PortInUse, match="no socket"):
        async with running_node(tmp_path, Config(api=ApiConfig(socket=str(path)))):
            pass
    assert mode_of(path) != 0
