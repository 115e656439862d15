"""py-libp2p's gossipsub with every setting explicit, for members only.

Its defaults would lose most of what we say: a heartbeat every two minutes, ten messages a second, meshes
that refuse peers of one address range.
"""

from __future__ import annotations

from collections.abc import Callable

from libp2p.abc import IHost
from libp2p.custom_types import TProtocol
from libp2p.peer.id import ID
from libp2p.pubsub.gossipsub import GossipSub
from libp2p.pubsub.pb import rpc_pb2
from libp2p.pubsub.pubsub import Pubsub

from node.p2p.messaging.gossip_intake import MAX_RPC

_PROTOCOLS = ("/meshsub/1.2.0", "/meshsub/1.1.0")


class MembersRouter(GossipSub):
    """Delivers each new message together with the peer that handed it on.

    The library's subscriptions give the message alone.
    """

    def __init__(self, heard: Callable[[ID, rpc_pb2.Message], None]) -> None:
        super().__init__(
            [TProtocol(protocol) for protocol in _PROTOCOLS],
            degree=6,
            degree_low=4,
            degree_high=12,
            heartbeat_interval=1,
            do_px=False,
            adaptive_gossip_enabled=False,
            spam_protection_enabled=False,  # members are authenticated; what they send is bounded by size
            eclipse_protection_enabled=False,  # members may well share an address
            max_pending_messages_per_peer=1000,
        )
        self._heard = heard

    async def publish(self, msg_forwarder: ID, pubsub_msg: rpc_pb2.Message) -> None:
        """Called once a message, our own ones too, after its signature was verified."""
        self._heard(msg_forwarder, pubsub_msg)
        await super().publish(msg_forwarder, pubsub_msg)


class MembersPubsub(Pubsub):
    """A peer that may not speak counts as on gossipsub's blacklist.

    It gets no stream, and what it sends or has signed is dropped before anything of it is verified.
    """

    def __init__(self, host: IHost, router: MembersRouter, may_speak: Callable[[ID], bool]) -> None:
        self._may_speak = may_speak  # the library asks while it is made
        super().__init__(host, router, strict_signing=True, max_inbound_rpc_size=MAX_RPC)

    def is_peer_blacklisted(self, peer_id: ID) -> bool:
        return not self._may_speak(peer_id)

    async def _handle_new_peer(self, peer_id: ID) -> None:
        """The library announces our topics to a peer, then counts it; a topic that comes between is lost."""
        announced = frozenset(self.topic_ids)
        await super()._handle_new_peer(peer_id)
        for topic in self.topic_ids - announced:
            announcement = rpc_pb2.RPC(subscriptions=[rpc_pb2.RPC.SubOpts(subscribe=True, topicid=topic)])
            await self.message_all_peers(announcement.SerializeToString(), announcement.subscriptions[0])

    def notify_subscriptions(self, publish_message: rpc_pb2.Message) -> None:
        """No-op: the router delivers, and its queues would only fill."""
