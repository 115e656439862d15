"""What of a member's gossip reaches gossipsub: in time, bounded, by members, and not too much a second.

gossipsub starts a task for every message of a frame, verifies a signature before it looks at anything else,
and keeps what peers say of any topic. So frames are read and thinned out here. A peer that sends more
than its rate is read more slowly; nothing of it is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import trio
from google.protobuf.message import DecodeError
from libp2p.pubsub.pb import rpc_pb2

from blockstore.common import varint
from blockstore.common.token_bucket import TokenBucket
from cluster.ports import MAX_GOSSIP
from node.p2p.errors import ProtocolViolation
from node.p2p.messaging.message_reader import Allowance, read_message
from node.p2p.transport.connection import Stream

MAX_RPC = 1024 * 1024  # bytes; py-libp2p silently loses a message that is larger
_MOST_IDS = 64  # messages asked for, or announced, in one frame
_MOST_TOPICS = 32  # subscribed to, or left, in one frame
_RATE = 1000.0  # messages a second of one peer; 8 KiB count as one more
_BURST = 4000.0
_UNIT = 8 * 1024  # bytes

MaySpeak = Callable[[bytes], bool]
"""Whether messages by the peer of that id are looked at."""


def gossip_rate() -> TokenBucket:
    """What one peer may send, on all of its streams together."""
    return TokenBucket(_RATE, _BURST)


class Intake:
    """The reading half of one gossip stream, as a stream of frames that were looked at."""

    def __init__(
        self, stream: Stream, topics: Collection[str], may_speak: MaySpeak, rate: TokenBucket
    ) -> None:
        self._stream = stream
        self._topics = topics
        self._may_speak = may_speak
        self._rate = rate
        self._allowance = Allowance()
        self._frame = b""

    async def read(self, n: int | None = None) -> bytes:
        """Empty at the end. Raises NetworkError."""
        while not self._frame:
            found = await read_message(self._stream, MAX_RPC, self._allowance)
            if found is None:
                return b""
            self._allowance.give(len(found))
            await self._take(found)
        data, self._frame = self._frame[:n], self._frame[n:] if n is not None else b""
        return data

    async def _take(self, found: bytes) -> None:
        rpc = rpc_pb2.RPC()
        try:
            rpc.ParseFromString(found)
        except DecodeError:
            raise ProtocolViolation("gossip: not its protobuf") from None
        await trio.sleep(self._rate.owe(1 + len(rpc.publish) + len(found) / _UNIT, trio.current_time()))
        data = thinned(rpc, self._topics, self._may_speak).SerializeToString()
        self._frame = varint.encode(len(data)) + data


def thinned(rpc: rpc_pb2.RPC, topics: Collection[str], may_speak: MaySpeak) -> rpc_pb2.RPC:
    """What of it concerns our topics and is by members. Subscriptions are kept: we may join a topic later.

    Peer records, which are not used here, are left out.
    """
    return rpc_pb2.RPC(
        subscriptions=[one for one in rpc.subscriptions[:_MOST_TOPICS] if _is_name(one.topicid)],
        publish=[one for one in rpc.publish if _is_for_us(one, topics) and may_speak(one.from_id)],
        control=_thinned(rpc.control, topics) if rpc.HasField("control") else None,
    )


def _is_name(topic: object) -> bool:
    return isinstance(topic, str) and len(topic) <= 128  # protobuf gives bytes for what is not UTF-8


def _is_for_us(message: rpc_pb2.Message, topics: Collection[str]) -> bool:
    return (
        len(message.topicIDs) == 1
        and message.topicIDs[0] in topics
        and len(message.data) <= MAX_GOSSIP
        and len(message.seqno) <= 8
    )


def _thinned(control: rpc_pb2.ControlMessage, topics: Collection[str]) -> rpc_pb2.ControlMessage:
    few = len(topics)
    return rpc_pb2.ControlMessage(
        ihave=[
            rpc_pb2.ControlIHave(topicID=one.topicID, messageIDs=_distinct(one.messageIDs))
            for one in control.ihave[:few]
            if one.topicID in topics
        ],
        iwant=[rpc_pb2.ControlIWant(messageIDs=_distinct(one.messageIDs)) for one in control.iwant[:1]],
        graft=[one for one in control.graft[:few] if one.topicID in topics],
        prune=[
            rpc_pb2.ControlPrune(topicID=one.topicID, backoff=one.backoff)
            for one in control.prune[:few]
            if one.topicID in topics
        ],
        idontwant=[
            rpc_pb2.ControlIDontWant(messageIDs=_distinct(one.messageIDs)) for one in control.idontwant[:few]
        ],
    )


def _distinct(ids: Sequence[bytes]) -> list[bytes]:
    """A few of them, each once."""
    return list(dict.fromkeys(ids[:_MOST_IDS]))
