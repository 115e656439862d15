"""Messages and gossip counted as they come in."""

from __future__ import annotations

from bitswap.network import MessageHandler
from cluster.ports import GossipHandler, GossipMessage
from node.traffic import Traffic

GOSSIP = "/meshsub"
"""Gossip, whichever version of its protocol a peer speaks."""


def counting(traffic: Traffic, handler: MessageHandler) -> MessageHandler:
    """The same handler, its messages counted as received."""

    async def counted(peer: str, protocol: str, message: bytes) -> None:
        traffic.received(protocol, len(message))
        await handler(peer, protocol, message)

    return counted


def counting_gossip(traffic: Traffic, handler: GossipHandler) -> GossipHandler:
    """As `counting`, of gossip."""

    async def counted(message: GossipMessage) -> None:
        traffic.received(GOSSIP, len(message.data))
        await handler(message)

    return counted
