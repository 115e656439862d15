"""What every Exchange promises (blockstore/blocks.py), run against each of them: `fetch` and `session`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

import pytest
from aiohttp import ClientSession, web
from support.bitswap_nodes import Puppet, keeps, says_dont_have, sends_other_bytes
from support.exchanges import RemoteBlocks
from support.http_gateway import HttpGateway, http_gateway
from support.sim_network import open_sim

from bitswap.exchange import BitswapExchange, BitswapSettings, open_bitswap
from bitswap.fetching.want_timeouts import WantTimeouts as BitswapPatience
from bitswap.message import Message, WantlistEntry
from blockstore.block import Block
from blockstore.blocks import Exchange, OfflineExchange
from blockstore.cid import CID, DAG_PB
from blockstore.common.guard import Guard
from blockstore.common.throttle import Throttle
from blockstore.errors import BlockNotFound
from blockstore.fetch_progress import FetchProgress
from blockstore.fetch_report import FetchOutcome
from blockstore.memory_store import MemoryBlockstore
from node.denylist.blocks import GuardedExchange
from node.denylist.denylist import Denylist
from node.retrieval.gateway_pool import open_gateways
from node.retrieval.gateway_timeouts import GatewayTimeouts
from node.retrieval.hedged_exchange import HedgedExchange, Route
from node.retrieval.trustless_gateway import TrustlessGateway
from node.routing.member_router import MemberRouter
from node.routing.provider_exchange import ProviderExchange, Reach

RAW_BLOCK = Block.of(b"wanted")
OLD_BLOCK = Block.of(b"\x0a\x04some", DAG_PB, version=0)
BLOCKS = [RAW_BLOCK, OLD_BLOCK, *(Block.of(b"block %d" % number) for number in range(50))]
MISSING = Block.of(b"nowhere").cid
HASTE = GatewayTimeouts(rest=0.01)
QUICK = BitswapSettings(BitswapPatience(answer=0.5, block=1.0, newcomer=0.2))


class Elsewhere(Protocol):
    """Where the blocks are, as a test drives it."""

    def hold(self) -> None:
        """From now on nothing is given."""

    async def release(self) -> None:
        """What is wanted is given, and all that comes."""

    def lie(self) -> None:
        """From now on other bytes are given."""

    async def asked(self) -> None:
        """Returns once something is wanted."""

    async def withdrawn(self) -> None:
        """Returns once it is not wanted any more."""


class OtherPeer:
    """A peer on a simulated network that speaks Bitswap."""

    def __init__(self, puppet: Puppet, mood: list[Callable[[WantlistEntry], Message | None]]) -> None:
        self._puppet = puppet
        self._mood = mood

    def hold(self) -> None:
        self._mood[0] = lambda entry: None

    async def release(self) -> None:
        self._mood[0] = gives
        for entry in self._puppet.entries:
            if not entry.cancel and (answer := keeps(BLOCKS)(entry)):
                await self._puppet.say("us", answer)

    def lie(self) -> None:
        self._mood[0] = sends_other_bytes

    async def asked(self) -> None:
        await self._puppet.hears(lambda puppet: any(not entry.cancel for entry in puppet.entries), 20)

    async def withdrawn(self) -> None:
        await self._puppet.hears(lambda puppet: any(entry.cancel for entry in puppet.entries), 20)


class OtherGateway:
    """A trustless gateway on a real socket."""

    def __init__(self, gateway: HttpGateway) -> None:
        self._gateway = gateway
        self._free = asyncio.Event()

    def hold(self) -> None:
        self._free.clear()
        self._gateway.behaviour = self._late

    async def release(self) -> None:
        self._free.set()

    def lie(self) -> None:
        async def other_bytes(_request: web.Request) -> web.StreamResponse:
            return web.Response(body=b"other bytes")

        self._gateway.behaviour = other_bytes

    async def asked(self) -> None:
        await asyncio.wait_for(self._gateway.asked.wait(), 20)

    async def withdrawn(self) -> None:
        await asyncio.wait_for(self._gateway.aborted.wait(), 20)

    async def _late(self, request: web.Request) -> web.StreamResponse:
        await self._free.wait()
        return await self._gateway.honest(request)


class OtherStore:
    """The stand-in that other tests use."""

    def __init__(self, remote: RemoteBlocks) -> None:
        self._remote = remote

    def hold(self) -> None:
        self._remote.hold()

    async def release(self) -> None:
        self._remote.released.set()

    def lie(self) -> None:
        raise AssertionError("its blocks are verified when they are made")

    async def asked(self) -> None:
        await self._remote.until_running(1)

    async def withdrawn(self) -> None:
        assert self._remote.withdrawn


@dataclass(frozen=True, slots=True)
class World:
    exchange: Exchange
    elsewhere: Elsewhere


def gives(entry: WantlistEntry) -> Message:
    return keeps(BLOCKS)(entry) or says_dont_have(entry)


@asynccontextmanager
async def _peer() -> AsyncIterator[tuple[BitswapExchange, OtherPeer]]:
    async with open_sim() as network:
        mood: list[Callable[[WantlistEntry], Message | None]] = [gives]
        puppet = Puppet(network, "them", lambda entry: mood[0](entry))
        async with open_bitswap(MemoryBlockstore(), network.node("us"), QUICK) as exchange:
            network.connect("us", "them")
            yield exchange, OtherPeer(puppet, mood)


@asynccontextmanager
async def bitswap() -> AsyncIterator[World]:
    async with _peer() as (exchange, peer):
        yield World(exchange, peer)


@asynccontextmanager
async def bitswap_session() -> AsyncIterator[World]:
    async with _peer() as (exchange, peer):
        yield World(exchange.session(RAW_BLOCK.cid), peer)


@asynccontextmanager
async def one_gateway() -> AsyncIterator[World]:
    async with http_gateway(BLOCKS) as gateway, ClientSession(auto_decompress=False) as session:
        yield World(TrustlessGateway(gateway.url, session, HASTE, Throttle(), Guard()), OtherGateway(gateway))


@asynccontextmanager
async def gateways() -> AsyncIterator[World]:
    async with http_gateway(BLOCKS) as gateway, open_gateways([gateway.url], HASTE) as exchange:
        yield World(exchange, OtherGateway(gateway))


@asynccontextmanager
async def hedged() -> AsyncIterator[World]:
    """As a node composes it: Bitswap, whose network has no peer here, then gateways."""
    async with (
        open_sim() as network,
        open_bitswap(MemoryBlockstore(), network.node("alone"), QUICK) as lonely,
        gateways() as world,
    ):
        ways = [Route("swarm", lonely), Route("gateways", world.exchange)]
        yield World(HedgedExchange(ways), world.elsewhere)


@asynccontextmanager
async def guarded() -> AsyncIterator[World]:
    """Behind a denylist without rules."""
    async with gateways() as world:
        yield World(GuardedExchange(world.exchange, Denylist(tuple)), world.elsewhere)


@asynccontextmanager
async def stand_in() -> AsyncIterator[World]:
    remote = RemoteBlocks(BLOCKS)
    yield World(remote, OtherStore(remote))


@asynccontextmanager
async def routed() -> AsyncIterator[World]:
    """From a peer that a router names, and that is dialled then."""
    async with open_sim() as network:
        mood: list[Callable[[WantlistEntry], Message | None]] = [gives]
        puppet, us = Puppet(network, "them", lambda entry: mood[0](entry)), network.node("us")

        async def dial(address: str) -> str:
            network.connect("us", "them")
            return address.rpartition("/")[2]

        async def holding(cid: CID) -> list[str]:
            return ["them"]

        router = MemberRouter(holding, lambda peer: ("/ip4/192.0.2.1/tcp/4001",))
        async with open_bitswap(MemoryBlockstore(), us, QUICK) as inner:
            reach = Reach("us", dial, us.peers)
            yield World(ProviderExchange(inner, router, reach, Guard()), OtherPeer(puppet, mood))


Opener = Callable[[], AbstractAsyncContextManager[World]]
OPENERS: dict[str, Opener] = {
    "bitswap": bitswap,
    "bitswap session": bitswap_session,
    "gateway": one_gateway,
    "gateways": gateways,
    "hedged": hedged,
    "routed": routed,
    "guarded": guarded,
    "remote blocks": stand_in,
}


@pytest.fixture(params=OPENERS)
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    async with OPENERS[request.param]() as opened:
        yield opened


async def begun(world: World, cid: CID = RAW_BLOCK.cid) -> asyncio.Task[Block]:
    """A fetch that waits."""
    world.elsewhere.hold()
    fetching = asyncio.create_task(world.exchange.fetch(cid))
    await world.elsewhere.asked()
    return fetching


async def test_a_block_comes_with_the_cid_that_was_asked_for(world: World) -> None:
    assert await world.exchange.fetch(RAW_BLOCK.cid) == RAW_BLOCK
    assert await world.exchange.fetch(OLD_BLOCK.cid) == OLD_BLOCK


async def test_a_peer_that_is_named_and_not_there_keeps_no_other_from_being_asked(world: World) -> None:
    assert await world.exchange.fetch(RAW_BLOCK.cid, ("a peer that is away",)) == RAW_BLOCK


async def test_many_blocks_are_fetched_at_once(world: World) -> None:
    found = await asyncio.gather(*(world.exchange.fetch(block.cid) for block in BLOCKS))
    assert list(found) == BLOCKS


async def test_a_block_that_no_source_has_is_named_with_a_reason(world: World) -> None:
    with pytest.raises(BlockNotFound) as caught:
        await asyncio.wait_for(world.exchange.fetch(MISSING), 30)
    assert caught.value.cid == MISSING
    assert caught.value.reason


async def test_a_fetch_waits_until_the_block_comes(world: World) -> None:
    fetching = await begun(world)
    assert not fetching.done()
    await world.elsewhere.release()
    assert await asyncio.wait_for(fetching, 20) == RAW_BLOCK


async def test_a_fetch_says_from_its_first_step_on_how_it_stands(world: World) -> None:
    world.elsewhere.hold()
    progress = FetchProgress()
    fetching = asyncio.create_task(world.exchange.fetch(RAW_BLOCK.cid, (), progress))
    assert progress.reports() == ()
    await asyncio.sleep(0)
    assert not progress.settled
    await world.elsewhere.asked()
    assert any(FetchOutcome.WAITING in report.outcomes for report in progress.reports())
    assert not progress.idle
    await world.elsewhere.release()
    await asyncio.wait_for(fetching, 20)


async def test_what_failed_is_in_the_error_as_it_was_in_the_progress(world: World) -> None:
    progress = FetchProgress()
    with pytest.raises(BlockNotFound) as caught:
        await asyncio.wait_for(world.exchange.fetch(MISSING, (), progress), 30)
    assert [report.source for report in caught.value.reports] == [
        report.source for report in progress.reports()[: len(caught.value.reports)]
    ]


async def test_a_fetch_tells_how_it_stands_while_it_runs(world: World) -> None:
    progress = FetchProgress()
    assert progress.reports() == ()
    world.elsewhere.hold()
    fetching = asyncio.create_task(world.exchange.fetch(RAW_BLOCK.cid, progress=progress))
    await world.elsewhere.asked()
    assert progress.reports()
    assert not progress.settled
    assert any(report.hopeful for report in progress.reports())
    await world.elsewhere.release()
    assert await asyncio.wait_for(fetching, 20) == RAW_BLOCK


async def test_a_cancelled_fetch_is_withdrawn(world: World) -> None:
    fetching = await begun(world)
    fetching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fetching
    await world.elsewhere.withdrawn()
    await world.elsewhere.release()
    assert await asyncio.wait_for(world.exchange.fetch(RAW_BLOCK.cid), 20) == RAW_BLOCK


async def test_one_that_gives_up_keeps_no_other_from_the_block(world: World) -> None:
    leaving = await begun(world)
    staying = asyncio.create_task(world.exchange.fetch(RAW_BLOCK.cid))
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.wait([leaving])
    await world.elsewhere.release()
    assert await asyncio.wait_for(staying, 20) == RAW_BLOCK


@pytest.mark.parametrize("opener", [opener for opener in OPENERS.values() if opener is not stand_in])
async def test_bytes_of_another_block_never_come_out(opener: Opener) -> None:
    async with opener() as world:
        world.elsewhere.lie()
        with pytest.raises(BlockNotFound):
            await asyncio.wait_for(world.exchange.fetch(RAW_BLOCK.cid), 30)


async def test_a_session_promises_the_same_and_so_do_its_sessions(world: World) -> None:
    for session in (world.exchange.session(RAW_BLOCK.cid), world.exchange.session(MISSING).session(MISSING)):
        assert await session.fetch(OLD_BLOCK.cid) == OLD_BLOCK
        with pytest.raises(BlockNotFound):
            await asyncio.wait_for(session.fetch(MISSING), 30)


async def test_a_session_that_fails_ends_no_other(world: World) -> None:
    first, second = (world.exchange.session(block.cid) for block in (RAW_BLOCK, OLD_BLOCK))
    lost, found = await asyncio.gather(
        first.fetch(MISSING), second.fetch(OLD_BLOCK.cid), return_exceptions=True
    )
    assert isinstance(lost, BlockNotFound)
    assert found == OLD_BLOCK


async def test_an_offline_node_says_so_of_every_block() -> None:
    for exchange in (OfflineExchange("this node runs offline"), OfflineExchange().session(MISSING)):
        with pytest.raises(BlockNotFound, match="offline"):
            await exchange.fetch(MISSING)
