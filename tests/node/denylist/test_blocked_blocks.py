"""Blocked blocks: not given to peers, not fetched, not read, not pinned; all the rest is."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import ClientSession
from support.bitswap_nodes import Puppet
from support.ipns import Key
from support.node import running_node
from support.sim_network import open_sim

from bitswap.exchange import open_bitswap
from bitswap.message import Message, Presence, WantlistEntry, WantType
from blockstore.block import Block
from blockstore.blocks import Blocks, OfflineExchange
from blockstore.cid import CID
from blockstore.fetch_progress import FetchProgress
from blockstore.memory_store import MemoryBlockstore
from node.config.sections import Config, NamesConfig
from node.denylist.blocks import GuardedBlocks, GuardedExchange, ServedBlocks
from node.denylist.denylist import Denylist, RuleSet
from node.denylist.errors import ContentBlocked
from node.denylist.rules import parse_rule

BAD, GOOD = Block.of(b"bad"), Block.of(b"good")


def denylist(*lines: str) -> Denylist:
    rules = RuleSet()
    for line in lines:
        rule = parse_rule(line, legal=False)
        assert rule is not None
        rules.add(rule)
    return Denylist(lambda: (rules,))


async def test_peers_get_every_block_but_the_blocked_ones() -> None:
    store = MemoryBlockstore()
    shelf = ServedBlocks(store, denylist(f"/ipfs/{BAD.cid}"))
    async with open_sim() as network, open_bitswap(shelf, network.node("here")) as here:
        asks = Puppet(network, "asks")
        network.connect("here", "asks")
        await store.put_many([BAD, GOOD])
        await asks.say(
            "here", Message(entries=(WantlistEntry(BAD.cid, send_dont_have=True), WantlistEntry(GOOD.cid)))
        )
        await asks.hears(lambda peer: bool(peer.received and peer.presences), seconds=10)
        await here.on_stored([BAD.cid])
        await asks.say("here", Message(entries=(WantlistEntry(BAD.cid, WantType.HAVE, send_dont_have=True),)))
        await asks.hears(lambda peer: len(peer.presences) > 1, seconds=10)
        assert asks.received == [b"good"]
        assert asks.presences == [Presence(BAD.cid, False)] * 2


async def test_a_blocked_block_is_never_asked_for() -> None:
    asked: list[CID] = []

    class Elsewhere(OfflineExchange):
        async def fetch(
            self, cid: CID, hints: Sequence[str] = (), progress: FetchProgress | None = None
        ) -> Block:
            asked.append(cid)
            return GOOD

        def session(self, root: CID) -> OfflineExchange:
            return self

    blocks = Blocks(MemoryBlockstore(), GuardedExchange(Elsewhere(), denylist(f"/ipfs/{BAD.cid}")))
    for source in (blocks, blocks.session(GOOD.cid)):
        with pytest.raises(ContentBlocked, match=f"^{BAD.cid} is blocked and cannot be provided$"):
            await source.get(BAD.cid)
    assert await blocks.get(GOOD.cid) == GOOD
    assert asked == [GOOD.cid]


async def test_a_blocked_block_that_is_here_is_not_read() -> None:
    store = MemoryBlockstore()
    await store.put_many([BAD, GOOD])
    blocks = GuardedBlocks(Blocks(store, OfflineExchange()), denylist(f"/ipfs/{BAD.cid}"))
    assert await blocks.get_many([GOOD.cid]) == [GOOD]
    for read in (blocks.get(BAD.cid), blocks.get_many([GOOD.cid, BAD.cid])):
        with pytest.raises(ContentBlocked) as caught:
            await read
        assert caught.value.cid == BAD.cid


async def test_a_node_neither_serves_nor_pins_what_its_list_blocks(tmp_path: Path) -> None:
    lists = tmp_path / "denylists"
    lists.mkdir()
    (lists / "own.deny").write_text(f"/ipfs/{BAD.cid}\n/ipfs/{CID.v1(0x55, GOOD.cid.multihash)}/a\n")
    async with running_node(tmp_path) as node, ClientSession() as client:
        await node.parts.store.put_many([BAD, GOOD])
        async with client.post(f"{node.faces.rpc.url}/api/v0/cat?arg={BAD.cid}") as answer:
            assert answer.status == 500
            assert f"{BAD.cid} is blocked and cannot be provided" in await answer.text()
        async with client.post(f"{node.faces.rpc.url}/api/v0/block/get?arg={BAD.cid}") as answer:
            assert answer.status == 500
        async with client.post(f"{node.faces.rpc.url}/api/v0/cat?arg={GOOD.cid}") as answer:
            assert await answer.read() == b"good"


@pytest.mark.parametrize(("hint", "status"), [("", 410), (" gateway_status=451", 451)])
async def test_the_gateway_says_that_it_will_not_serve_what_is_blocked(
    tmp_path: Path, hint: str, status: int
) -> None:
    lists = tmp_path / "denylists"
    lists.mkdir()
    key = Key(1)
    rules = (f"/ipfs/{BAD.cid}", f"/ipfs/{GOOD.cid}/below*", f"/ipns/{key.name}", "/ipns/n.example.org/a")
    (lists / "own.deny").write_text("".join(f"{rule}{hint}\n" for rule in rules))
    config = replace(Config(), names=NamesConfig(static=(f"n.example.org:/ipfs/{GOOD.cid}",)))
    async with running_node(tmp_path, config) as node, ClientSession() as client:
        await node.parts.store.put_many([BAD, GOOD])
        await node.parts.publishing.keep(key.name, key.record(f"/ipfs/{GOOD.cid}", time.time() + 60))
        gateway = node.faces.gateway.url.replace("localhost", "127.0.0.1")
        for path in (
            f"/ipfs/{BAD.cid}",
            f"/ipfs/{GOOD.cid}/below/it",
            f"/ipns/{key.name}",
            "/ipns/n.example.org/a",
        ):
            async with client.get(f"{gateway}{path}") as answer:
                assert (answer.status, "blocked and cannot be provided" in await answer.text()) == (
                    status,
                    True,
                )
        for path in (f"/ipfs/{GOOD.cid}", "/ipns/n.example.org"):
            async with client.get(f"{gateway}{path}") as answer:
                assert (answer.status, await answer.read()) == (200, b"good")
