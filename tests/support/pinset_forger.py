"""Batches and gossip put in front of a member by hand, honest and forged."""

from __future__ import annotations

import asyncio
from random import Random

from cluster.common.pin_codec import encode_pin
from cluster.pinset.documents.document import Document
from cluster.pinset.log.batch import AuthorLog, Batch, sign
from cluster.pinset.tables.store import PinsetStore
from cluster.ports import GossipMessage
from cluster.replication.gossip_message import topic_of
from support.cluster_network import SimNetwork
from support.pinset_member import PinsetMember, identity, some_cid, some_pin


def calm(delay: float = 0.01) -> SimNetwork:
    return SimNetwork(Random(1), delay=delay)


def wall() -> float:
    return 1e9 + asyncio.get_running_loop().time()


async def stopped(*members: PinsetMember) -> None:
    for member in members:
        if member.alive:
            await member.stop()


async def logs_of(author: PinsetMember, at: PinsetMember) -> set[AuthorLog]:
    """What that author has written in, as another member keeps it."""
    heads = await PinsetStore(at.database).heads(0, 100)
    return {head.log for head in heads if head.log.author == author.peer}


async def gossiped(envelope: bytes, author: str, to: PinsetMember) -> None:
    await heard(b"\x01" + envelope, author, to)


async def heard(message: bytes, author: str, to: PinsetMember, forwarder: str = "") -> None:
    """A gossip message as the network delivers it, handled; what it brought is applied."""
    topics = to.network.peers[to.peer].topics
    topics.deliver(topic_of(to.genesis), GossipMessage(author, forwarder or author, message))
    await topics.handled()
    await asyncio.sleep(0.01)  # of virtual time: all work that is not waiting for a timer is done


class Forger:
    """A member's honest tools in the wrong hands."""

    def __init__(self, victim: PinsetMember, number: int) -> None:
        self.victim = victim
        self.signer = identity(number)
        self.log = AuthorLog(self.signer.peer_id, 1)

    def update(self, client: int | None = None, cid: int = 1, value: bytes | None = None) -> bytes:
        wanted = encode_pin(some_pin(cid, "forged")).stamped(1) if value is None else value
        return Document(client or self.log.client).write({some_cid(cid): wanted})[0]

    def batch(self, *updates: tuple[int, bytes], sequence: int = 1) -> bytes:
        batch = Batch(self.log, sequence, 1, updates)
        return sign(batch, self.victim.genesis.cluster_id, self.signer).envelope

    async def publish(self, envelope: bytes) -> None:
        await gossiped(envelope, self.signer.peer_id, to=self.victim)


def document_of(member: PinsetMember, number: int = 1) -> int:
    return member.genesis.document_of(some_cid(number))
