"""The built part of Kubo's RPC on a real node: shapes, errors, and what is absent."""

import io
import json
import random
import tarfile
from pathlib import Path

import pytest
from support.rpc import form, rpc

from blockstore.block import Block
from blockstore.cid import CID

BIG = random.Random(3).randbytes(600_000)


def unpacked(archive: tarfile.TarFile, name: str) -> bytes:
    found = archive.extractfile(name)
    assert found is not None
    return found.read()


async def test_a_file_is_printed_whole_or_in_part(tmp_path: Path) -> None:
    async with rpc(tmp_path) as call:
        cids = await call.add({"d/big": BIG, "d/small": b"small"})
        assert await call(f"cat?arg={cids['d/big']}") == (200, BIG)
        assert call.headers["X-Stream-Output"] == "1"
        assert call.headers["X-Content-Length"] == str(len(BIG))
        assert await call(f"cat?arg=/ipfs/{cids['d']}/big&offset=300000&length=7") == (
            200,
            BIG[300000:300007],
        )
        assert await call(f"cat?arg=ipfs://{cids['d']}/small") == (200, b"small")


async def test_a_tree_comes_as_tar(tmp_path: Path) -> None:
    async with rpc(tmp_path) as call:
        cids = await call.add({"d/big": BIG, "d/e/small": b"small"})
        status, body = await call(f"get?arg={cids['d']}")
        assert (status, call.headers["Content-Type"]) == (200, "application/x-tar")
        with tarfile.open(fileobj=io.BytesIO(body)) as archive:
            assert unpacked(archive, f"{cids['d']}/big") == BIG
            assert unpacked(archive, f"{cids['d']}/e/small") == b"small"


async def test_a_directory_is_listed_at_once_and_line_by_line(tmp_path: Path) -> None:
    async with rpc(tmp_path) as call:
        cids = await call.add({"d/big": BIG, "d/e/small": b"small"})
        (answer,) = await call.json(f"ls?arg={cids['d']}")
        (listing,) = answer["Objects"]
        assert listing["Hash"] == cids["d"]
        assert [(link["Name"], link["Type"], link["Hash"]) for link in listing["Links"]] == [
            ("big", 2, cids["d/big"]),
            ("e", 1, cids["d/e"]),
        ]
        assert listing["Links"][0]["Size"] == len(BIG)
        lines = await call.json(f"ls?arg={cids['d']}&stream=true")
        assert [line["Objects"][0]["Links"][0]["Name"] for line in lines] == ["big", "e"]
        assert (await call.json(f"ls?arg={cids['d/big']}"))[0]["Objects"][0]["Links"] == []


async def test_blocks_in_and_out(tmp_path: Path) -> None:
    async with rpc(tmp_path) as call:
        (put,) = await call.json("block/put?pin=true", data=form(block=b"a block"))
        cid = Block.of(b"a block").cid
        assert put == {"Key": str(cid), "Size": 7}
        assert await call(f"block/get?arg={cid}") == (200, b"a block")
        assert await call.json(f"block/stat?arg={cid}") == [{"Key": str(cid), "Size": 7}]
        assert (await call.node.parts.cluster.get_pin(cid)).cid == cid
        (put,) = await call.json("block/put?cid-codec=dag-cbor&mhtype=blake3", data=form(block=b"\xa0"))
        assert CID.parse(put["Key"]).codec == 0x71


async def test_a_block_that_peers_would_refuse_is_refused(tmp_path: Path) -> None:
    async with rpc(tmp_path) as call:
        status, body = await call("block/put", data=form(block=io.BytesIO(bytes(2_100_000))))
        assert (status, json.loads(body)["Type"]) == (500, "error")
        assert (await call("block/put?cid-codec=nosuch", data=form(block=b"x")))[0] == 400


async def test_a_car_goes_out_of_one_node_and_into_another(tmp_path: Path) -> None:
    async with rpc(tmp_path / "a") as one, rpc(tmp_path / "b") as other:
        cids = await one.add({"d/big": BIG, "d/small": b"small"})
        status, car = await one(f"dag/export?arg={cids['d']}")
        assert (status, one.headers["Content-Type"]) == (200, "application/vnd.ipld.car")
        lines = await other.json("dag/import?stats=true", data=form(car=car))
        assert lines[0] == {"Root": {"Cid": {"/": cids["d"]}, "PinErrorMsg": ""}}
        assert lines[1]["Stats"]["BlockCount"] == 6
        assert await other(f"cat?arg={cids['d']}/big") == (200, BIG)
        assert (await other.node.parts.cluster.get_pin(CID.parse(cids["d"]))).cid == CID.parse(cids["d"])


async def test_a_damaged_car_leaves_nothing(tmp_path: Path) -> None:
    async with rpc(tmp_path / "a") as one, rpc(tmp_path / "b") as other:
        cids = await one.add({"d/big": BIG})
        _, car = await one(f"dag/export?arg={cids['d']}")
        for broken in (car[:-1], car[:-1] + bytes([car[-1] ^ 1]), b"", b"not a car"):
            status, body = await other("dag/import", data=form(car=broken))
            assert (status, json.loads(body)["Type"]) == (500, "error")
        assert (await other.node.parts.store.usage()).blocks == 0


async def test_about_this_node(tmp_path: Path) -> None:
    async with rpc(tmp_path) as call:
        (me,) = await call.json("id")
        assert (me["ID"], me["Addresses"]) == (call.node.parts.peer, [])
        (version,) = await call.json("version")
        assert list(version) == ["Version", "Commit", "Repo", "System", "Golang"]
        (stat,) = await call.json("repo/stat")
        assert (stat["NumObjects"], stat["RepoSize"]) == (0, 0)
        assert await call.json("swarm/peers") == [{"Peers": []}]
        status, body = await call("swarm/connect?arg=/ip4/127.0.0.1/tcp/1/p2p/x")
        assert status == 500
        assert "offline" in json.loads(body)["Message"]


async def test_only_post_and_only_what_is_built(tmp_path: Path) -> None:
    async with rpc(tmp_path) as call:
        assert await call("version", "GET") == (405, b"405 - Method Not Allowed\n")
        assert (await call("version", "OPTIONS"))[0] == 204
        assert await call("files/ls") == (404, b"404 page not found\n")
        assert await call("cat") == (400, b'expected 1 "arg", got 0\n')
        assert (await call("cat?arg=a&arg=b"))[0] == 400


async def test_errors_before_any_output_are_json(tmp_path: Path) -> None:
    async with rpc(tmp_path) as call:
        absent = Block.of(b"absent").cid
        for command in (
            f"cat?arg={absent}",
            "cat?arg=notacid",
            f"block/stat?arg={absent}",
            f"ls?arg={absent}",
        ):
            status, body = await call(command)
            error = json.loads(body)
            assert (status, list(error), error["Code"]) == (500, ["Message", "Code", "Type"], 0)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"User-Agent": "Mozilla/5.0"}, 403),
        ({"Referer": "http://x/"}, 403),
    ],
)
async def test_pages_of_other_origins_are_kept_out(
    tmp_path: Path, headers: dict[str, str], status: int
) -> None:
    async with rpc(tmp_path) as call:
        assert (await call("version", headers=headers))[0] == status
        own = {"Origin": call.node.faces.rpc.url, "User-Agent": "Mozilla/5.0"}
        assert (await call("version", headers=own))[0] == 200
