"""A node opens whole or not at all, says where it listens, and leaves nothing behind."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import ClientSession, UnixConnector
from support.node import any_ports, running_node

from blockstore.errors import StoreCorrupt, StoreLocked
from node.config.sections import ApiConfig, Config
from node.datadir.cluster_file import BadClusterFile
from node.datadir.folder import DataFolder
from node.datadir.init import create_node
from node.http.listener import PortInUse
from node.node import open_node


async def test_the_addresses_file_says_where_it_listens_as_long_as_it_does(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    async with running_node(tmp_path) as node:
        said = json.loads(folder.addresses.read_text())
        assert said == {
            "pid": os.getpid(),
            "peer_id": node.parts.peer,
            "gateway": node.faces.gateway.url,
            "rpc": node.faces.rpc.url,
            "api": node.faces.api.url,
            "swarm": [],
            "cluster": [],
            "bulk": [],
            "pinning": node.faces.pinning.url,
            "metrics": node.faces.metrics.url if node.faces.metrics else "",
        }
        async with ClientSession() as client, client.get(said["api"] + "/id") as answer:
            assert (await answer.json())["id"] == said["peer_id"]
    assert not folder.addresses.exists()


async def test_a_unix_socket_of_the_api_is_there_as_long_as_the_node(tmp_path: Path) -> None:
    config = Config(api=ApiConfig(socket=str(tmp_path / "api.sock")))
    async with running_node(tmp_path / "node", config):
        connector = UnixConnector(str(tmp_path / "api.sock"))
        async with ClientSession(connector=connector) as client, client.get("http://x/id") as answer:
            assert answer.status == 200
    assert not (tmp_path / "api.sock").exists()


async def test_a_second_node_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    async with running_node(tmp_path):
        with pytest.raises(StoreLocked, match="in use by another process"):
            async with running_node(tmp_path):
                pass


async def test_a_port_in_use_names_the_setting_and_frees_the_folder(tmp_path: Path) -> None:
    async with running_node(tmp_path / "a") as other:
        taken = other.faces.gateway.port
        create_node(DataFolder(tmp_path / "b"))
        config = any_ports(Config())
        config = replace(config, gateway=replace(config.gateway, port=taken))
        with pytest.raises(PortInUse, match="--gateway-port"):
            async with open_node(config, DataFolder(tmp_path / "b"), offline=True):
                pass
        async with running_node(tmp_path / "b"):
            pass


async def test_a_damaged_database_is_named(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    create_node(folder)
    folder.blocks.write_bytes(b"this is no database" * 1000)
    with pytest.raises(StoreCorrupt, match=r"blocks\.db"):
        async with running_node(tmp_path):
            pass


async def test_a_lost_cluster_file_is_named(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    create_node(folder)
    folder.cluster.unlink()
    with pytest.raises(BadClusterFile, match=r"cluster\.json"):
        async with running_node(tmp_path):
            pass


async def test_who_it_is_survives_a_restart(tmp_path: Path) -> None:
    async with running_node(tmp_path) as node:
        first = node.parts.peer
    async with running_node(tmp_path) as node:
        assert node.parts.peer == first


async def test_the_allocator_can_be_told_to_keep_memory(tmp_path: Path) -> None:
    config = Config()
    async with running_node(tmp_path, replace(config, storage=replace(config.storage, fast_malloc=True))):
        pass


async def test_it_listens_on_loopback_unless_told_otherwise() -> None:
    config = Config()
    assert {config.gateway.host, config.rpc.host, config.api.host} == {"127.0.0.1"}
