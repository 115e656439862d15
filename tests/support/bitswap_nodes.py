"""Bitswap nodes on a simulated network: honest ones with a store, and puppets that do what a test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import count

from bitswap.exchange import BitswapExchange, BitswapSettings, open_bitswap
from bitswap.message import PROTOCOLS, Message, Payload, Presence, WantlistEntry, WantType
from bitswap.message_codec import decode, encode
from blockstore.block import Block
from blockstore.block_waiters import BlockWaiters
from blockstore.blocks import Blocks
from blockstore.common.guard import Guard
from blockstore.memory_store import MemoryBlockstore
from support.sim_network import SimNetwork, SimNode

Answer = Callable[[WantlistEntry], Message | None]


@dataclass(frozen=True, slots=True)
class Node:
    name: str
    store: MemoryBlockstore
    exchange: BitswapExchange
    network: SimNode

    @property
    def blocks(self) -> Blocks:
        return Blocks(self.store, self.exchange, waiters=BlockWaiters((self.exchange.on_stored,)))


@asynccontextmanager
async def open_nodes(
    network: SimNetwork,
    *names: str,
    settings: BitswapSettings | None = None,
    store: MemoryBlockstore | None = None,
    guard: Guard | None = None,
) -> AsyncIterator[list[Node]]:
    """Honest nodes, not connected yet; each with a store of its own, unless one is given."""
    async with AsyncExitStack() as stack:
        nodes = []
        for name in names:
            blocks = store or MemoryBlockstore()
            exchange = await stack.enter_async_context(
                open_bitswap(blocks, network.node(name), settings, guard)
            )
            nodes.append(Node(name, blocks, exchange, network.node(name)))
        yield nodes


class Puppet:
    """A peer without a mind: remembers all that it hears, answers each entry as `answer` says.

    It takes `seconds` over each message.
    """

    def __init__(
        self,
        network: SimNetwork,
        name: str,
        answer: Answer = lambda entry: None,
        protocols: Sequence[str] = PROTOCOLS,
        seconds: float = 0.0,
    ) -> None:
        self.node = network.node(name)
        self.heard: list[Message] = []
        self._answer = answer
        self._protocols = protocols
        self._seconds = seconds
        self._news = asyncio.Event()
        self.node.on_message(protocols, self._on_message)

    @property
    def entries(self) -> list[WantlistEntry]:
        return [entry for message in self.heard for entry in message.entries]

    @property
    def received(self) -> list[bytes]:
        return [payload.data for message in self.heard for payload in message.payloads]

    @property
    def presences(self) -> list[Presence]:
        return [presence for message in self.heard for presence in message.presences]

    async def say(self, peer: str, message: Message) -> None:
        await self.node.send(peer, self._protocols, encode(message, self._protocols[0]))

    async def hears(self, enough: Callable[[Puppet], bool], seconds: float = 300) -> None:
        """Wait until what was heard is enough; TimeoutError when it never is."""
        async with asyncio.timeout(seconds):
            while not enough(self):
                await self._news.wait()
                self._news.clear()

    async def _on_message(self, peer: str, protocol: str, data: bytes) -> None:
        await asyncio.sleep(self._seconds)
        message = decode(data)
        self.heard.append(message)
        self._news.set()
        for entry in message.entries:
            if not entry.cancel and (answer := self._answer(entry)) is not None:
                await self.say(peer, answer)


def says_have(entry: WantlistEntry) -> Message:
    return Message(presences=(Presence(entry.cid, True),))


def says_dont_have(entry: WantlistEntry) -> Message:
    return Message(presences=(Presence(entry.cid, False),))


def says_have_and_then_not(entry: WantlistEntry) -> Message:
    return Message(presences=(Presence(entry.cid, entry.type is WantType.HAVE),))


def sends_other_bytes(entry: WantlistEntry) -> Message:
    if entry.type is WantType.HAVE:
        return says_have(entry)
    return Message(payloads=(Payload.of(Block.of(b"other bytes")),))


def sends_one_of_ten(blocks: Iterable[Block]) -> Answer:
    """Says HAVE of all, and sends each tenth that it is asked for."""
    known = {block.cid.multihash: block for block in blocks}
    asked = count()

    def answer(entry: WantlistEntry) -> Message | None:
        if entry.type is WantType.HAVE:
            return says_have(entry)
        block = known.get(entry.cid.multihash)
        return Message(payloads=(Payload.of(block),)) if block is not None and next(asked) % 10 == 9 else None

    return answer


def keeps(blocks: Iterable[Block]) -> Answer:
    """Says HAVE, and sends the block when it is asked for it."""
    known = has(blocks)
    return lambda entry: known(entry) and (known(entry) if entry.type is WantType.BLOCK else says_have(entry))


def has(blocks: Iterable[Block]) -> Answer:
    """Sends the block, whatever it is asked."""
    known = {block.cid.multihash: block for block in blocks}

    def answer(entry: WantlistEntry) -> Message | None:
        block = known.get(entry.cid.multihash)
        return Message(payloads=(Payload.of(block),)) if block is not None else None

    return answer
