"""Gossip that waits: the first goes at once, and what comes soon after it goes together."""

from __future__ import annotations

import asyncio
from random import Random

from support.clock import virtual_time

from cluster.replication.gossip_message import (
    MAX_GOSSIP_BYTES,
    BatchEnvelopes,
    joined,
    read_message,
    records_messages,
)
from cluster.replication.gossip_outbox import GossipOutbox

BATCH = b"\1"


class Published:
    def __init__(self) -> None:
        self.at: list[float] = []
        self.messages: list[bytes] = []
        self.outbox = GossipOutbox(self.publish, pace=0.5)

    async def publish(self, message: bytes) -> None:
        self.at.append(asyncio.get_running_loop().time())
        self.messages.append(message)

    async def run(self) -> None:
        while True:
            await self.outbox.publish_next()

    def batches(self) -> list[tuple[bytes, ...]]:
        read = map(read_message, self.messages)
        return [one.envelopes for one in read if isinstance(one, BatchEnvelopes)]


@virtual_time
async def test_the_first_goes_at_once_and_those_that_follow_go_together_when_it_is_time() -> None:
    published = Published()
    running = asyncio.create_task(published.run())
    began = asyncio.get_running_loop().time()
    published.outbox.put(BATCH + b"one")
    await asyncio.sleep(0.1)
    for name in (b"two", b"three"):
        published.outbox.put(BATCH + name)
    await asyncio.sleep(2)
    published.outbox.put(BATCH + b"four")
    await asyncio.sleep(0.01)
    running.cancel()
    assert published.batches() == [(b"one",), (b"two", b"three"), (b"four",)]
    assert [round(at - began, 3) for at in published.at] == [0.0, 0.5, 2.1]


@virtual_time
async def test_what_waits_when_all_ends_is_sent_and_what_has_no_room_is_not() -> None:
    published = Published()
    for number in range(300):
        published.outbox.put(BATCH + b"%d" % number)
    await published.outbox.flush()
    assert [one for batch in published.batches() for one in batch] == [
        b"%d" % number for number in range(256)
    ]


def test_joined_messages_stay_in_order_and_below_the_limit() -> None:
    chance = Random(1)
    envelopes = [chance.randbytes(chance.randrange(MAX_GOSSIP_BYTES // 4)) for _ in range(60)]
    records = list(records_messages([b"record"]))
    sent = [*(BATCH + one for one in envelopes[:30]), *records, *(BATCH + one for one in envelopes[30:])]
    messages = list(joined(sent))
    assert max(map(len, messages)) <= MAX_GOSSIP_BYTES
    assert len(messages) < 45
    read = [read_message(message) for message in messages]
    assert [one for part in read if isinstance(part, BatchEnvelopes) for one in part.envelopes] == envelopes
    assert read.index(read_message(records[0])) not in (0, len(read) - 1)
    assert list(joined([])) == []
