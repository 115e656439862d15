"""What is made of gossip before gossipsub sees it."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st
from libp2p.pubsub.pb import rpc_pb2
from support.p2p_pipes import Recorder

from blockstore.common import varint
from cluster.ports import MAX_GOSSIP
from node.p2p.errors import NetworkError, ProtocolViolation
from node.p2p.messaging.gossip_intake import MAX_RPC, Intake, gossip_rate, thinned
from node.p2p.transport.byte_stream import read_exactly
from node.p2p.transport.connection import Stream

TOPICS = {"pins", "metrics"}
MEMBER, STRANGER = b"\0$member", b"\0$stranger"


class _Pipe(Recorder):
    unread = 0

    async def wait_for(self, n: int) -> None:
        await trio.lowlevel.checkpoint()

    async def read_exactly(self, n: int) -> bytes:
        return await read_exactly(self, n)

    async def reset(self) -> None:
        await trio.lowlevel.checkpoint()


def message(author: bytes = MEMBER, topic: str = "pins", data: bytes = b"x") -> rpc_pb2.Message:
    return rpc_pb2.Message(from_id=author, topicIDs=[topic], data=data, seqno=b"1")


def frames(*found: bytes) -> bytes:
    return b"".join(varint.encode(len(one)) + one for one in found)


def taken(data: bytes) -> tuple[bytes, float]:
    """What gossipsub gets to read of these bytes, and the seconds that took."""

    async def run() -> tuple[bytes, float]:
        stream = Stream("peer", "/meshsub/1.1.0", _Pipe(data), connection=None)  # type: ignore[arg-type]  # unread
        intake = Intake(stream, TOPICS, MEMBER.__eq__, gossip_rate())
        began, got = trio.current_time(), b""
        while piece := await intake.read(1000):
            got += piece
        return got, trio.current_time() - began

    return trio.run(run, clock=trio.testing.MockClock(autojump_threshold=0))


def test_messages_by_members_pass_and_nobody_else_s() -> None:
    rpc = rpc_pb2.RPC(
        publish=[
            message(),
            message(STRANGER),
            message(topic="other"),
            message(data=bytes(MAX_GOSSIP + 1)),
            rpc_pb2.Message(from_id=MEMBER, topicIDs=["pins", "metrics"]),
            rpc_pb2.Message(from_id=MEMBER),
        ],
        senderRecord=b"junk",
    )
    got, _ = taken(frames(rpc.SerializeToString()))
    assert got == frames(rpc_pb2.RPC(publish=[message()]).SerializeToString())


def test_what_gossipsub_would_keep_or_answer_is_bounded() -> None:
    ids = [b"%04x" % n for n in range(1000)]
    control = rpc_pb2.ControlMessage(
        iwant=[rpc_pb2.ControlIWant(messageIDs=[b"same"] * 1000)] * 3,
        ihave=[rpc_pb2.ControlIHave(topicID=topic, messageIDs=ids) for topic in ("pins", "other")],
        graft=[rpc_pb2.ControlGraft(topicID=topic) for topic in ("other", "pins")][1:] * 50,
        idontwant=[rpc_pb2.ControlIDontWant(messageIDs=ids)] * 50,
    )
    subscriptions = [rpc_pb2.RPC.SubOpts(subscribe=True, topicid=f"topic {n}") for n in range(1000)]
    found = thinned(rpc_pb2.RPC(subscriptions=subscriptions, control=control), TOPICS, MEMBER.__eq__)
    assert len(found.subscriptions) == 32
    assert [list(one.messageIDs) for one in found.control.iwant] == [[b"same"]]
    assert [(one.topicID, len(one.messageIDs)) for one in found.control.ihave] == [("pins", 64)]
    assert len(found.control.graft) == len(found.control.idontwant) == 2


def test_a_flood_is_read_at_its_rate_and_loses_nothing() -> None:
    flood = [rpc_pb2.RPC(publish=[message()] * 500).SerializeToString() for _ in range(40)]
    got, seconds = taken(frames(*flood))
    assert got == frames(*flood)
    assert 14 < seconds < 25


def test_a_burst_is_read_at_once() -> None:
    _, seconds = taken(frames(*[rpc_pb2.RPC(publish=[message()]).SerializeToString()] * 1000))
    assert seconds < 0.1


@pytest.mark.parametrize("data", [frames(b"\xff" * 64), varint.encode(MAX_RPC + 1), b"\xff" * 12])
def test_nonsense_ends_its_stream(data: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        taken(data)


@given(st.binary(max_size=200))
@settings(max_examples=60)
def test_any_bytes_are_gossip_or_the_one_error(data: bytes) -> None:
    try:
        taken(frames(data))
    except NetworkError:
        return
