"""What a person is told of pins: what is so, what changed, what is kept and why."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import AsyncGenerator, Iterator, Sequence
from pathlib import Path

import pytest
from nodes import NodeProcess
from support.command import Said, daemon, pinfold, until
from support.dags import leaves
from support.dags import node as dag_node

from blockstore.block import Block
from blockstore.car.writer import car_stream
from blockstore.cid import CID

ABSENT = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    with daemon(tmp_path_factory.mktemp("pins-told") / "alone", "--offline") as running:
        yield running


def added(node: NodeProcess, data: bytes, *options: str) -> tuple[str, Said]:
    said = pinfold("add", "-Q", *options, path=node.folder, stdin=data)
    assert said.code == 0, said
    return said.out.strip(), said


def test_what_is_added_again_with_an_end_stays_for_ever_and_that_is_told(node: NodeProcess) -> None:
    cid, said = added(node, b"precious", "--name", "precious", "--metadata", "owner=alice")
    assert said.err == ""
    assert f"{cid} stays pinned for ever, as before" in added(node, b"precious", "--expire-in", "1h")[1].err
    assert added(node, b"precious")[1].err == ""
    assert node.run("pin", "ls", cid) == f"{cid}  everywhere  precious  (owner=alice)"
    ends = pinfold("pin", "add", "--expire-at", "2090-01-01T00:00:00Z", "--shorten", cid, path=node.folder)
    assert "ends: never -> 2090-01-01T00:00:00Z" in ends.err
    for shown in (node.run("pin", "ls", cid), node.run("status", cid)):
        assert "(until 2090-01-01T00:00:00Z, owner=alice)" in shown
    assert "stays pinned until 2090-01-01T00:00:00Z, as before" in added(node, b"precious")[1].err
    changed = added(node, b"precious", "--name", "other", "--replication", "1", "--expire-in", "never")[1].err
    assert "name: precious -> other" in changed
    assert "copies: everywhere -> 1-1" in changed
    assert "ends: 2090-01-01T00:00:00Z -> never" in changed


def test_a_wish_is_told_as_one(node: NodeProcess) -> None:
    assert "to be pinned by every member" in node.run("pin", "add", ABSENT)
    cid, _ = added(node, b"here", "--pin=false")
    assert "is pinned by every member" in node.run("pin", "add", "--wait", cid)


def car_file(path: Path, roots: Sequence[CID], *blocks: Block) -> str:
    async def written() -> bytes:
        async def each() -> AsyncGenerator[Block]:
            for block in blocks:
                yield block

        return b"".join([piece async for piece in car_stream(roots, each())])

    path.write_bytes(asyncio.run(written()))
    return str(path)


def test_cars_are_told_as_they_are(node: NodeProcess, tmp_path: Path) -> None:
    parts = leaves(3, start=100)
    root = dag_node([block.cid for block in parts])
    first = car_file(tmp_path / "1.car", [root.cid], root, parts[0])
    second = car_file(tmp_path / "2.car", [root.cid], *parts[1:])
    said = pinfold("car", "import", first, path=node.folder)
    said.complains(f"{root.cid}", "not pinned: block", "is not here")
    pinfold("pin", "ls", str(root.cid), path=node.folder).complains("not part of the pinset")
    assert node.run("car", "import", first, second) == f"pinned {root.cid}"
    absent = car_file(tmp_path / "absent.car", [CID.parse(ABSENT)], parts[0])
    said = pinfold("car", "import", "--no-pin", absent, path=node.folder)
    assert said.out == f"{ABSENT} is a root whose block is nowhere here\n"


@pytest.mark.timeout(180)
def test_gc_names_what_it_keeps_for_a_member_that_does_not_answer(tmp_path: Path) -> None:
    with daemon(tmp_path / "a") as a:
        token = a.run("cluster", "invite")
        assert pinfold("init", "--name", "b", "--join", token, path=tmp_path / "b").code == 0
        with daemon(tmp_path / "b") as b:
            until("both are there", lambda: a.run("peers").count("online") == 2)
            peer = json.loads(b.run("id", "--json"))["id"]
            until("b can be chosen", lambda: peer in told_their_room(a))
            cid = added_for(a, peer)
            until("b holds it", lambda: sorted(a.statuses(cid)) == ["pinned", "remote"])
            assert b.stop() == 0
        said = pinfold("gc", path=a.folder)
        assert f"kept {cid} for b: 0 of the 1 members" in said.err
        assert said.out == "removed 0 blocks, 0 B; kept those of 1 pins that other members do not have yet\n"
        assert a.run("cat", cid) == "for b alone"


def told_their_room(node: NodeProcess) -> set[str]:
    """The members that the allocator may choose: it has heard how much room they have."""
    url = f"{node.addresses()['api']}/monitor/metrics/freespace"
    with urllib.request.urlopen(url, timeout=60) as answer:
        return {metric["peer"] for metric in json.load(answer)}


def added_for(node: NodeProcess, peer: str) -> str:
    body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nfor b alone\r\n--x--\r\n'
    url = f"{node.addresses()['api']}/add?cid-version=1&name=for%20b&replication=1&user-allocations={peer}"
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    with urllib.request.urlopen(urllib.request.Request(url, body, kind), timeout=60) as answer:
        cid: str = json.loads(answer.read().splitlines()[-1])["cid"]
    return cid
