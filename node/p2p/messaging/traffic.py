"""Bytes of messages by protocol, both ways, and how many a second lately (libp2p's bandwidth counter)."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bitswap.network import MessageHandler
from cluster.ports import GossipHandler, GossipMessage

GOSSIP = "/meshsub"
"""Gossip, whichever version of its protocol a peer speaks."""

_MEMORY = 10.0  # seconds over which a rate is averaged, those long ago less than those just now


@dataclass(frozen=True, slots=True)
class ProtocolTraffic:
    """Totals in bytes since the start, rates in bytes a second."""

    total_in: int
    total_out: int
    rate_in: float
    rate_out: float


@dataclass(slots=True)
class _Meter:
    total: int = 0
    rate: float = 0.0
    at: float = 0.0

    def add(self, size: int, now: float) -> None:
        self.rate, self.at = self.rate_at(now) + size / _MEMORY, now
        self.total += size

    def rate_at(self, now: float) -> float:
        return self.rate * math.exp((self.at - now) / _MEMORY)


@dataclass(frozen=True, slots=True)
class _Both:
    received: _Meter = field(default_factory=_Meter)
    sent: _Meter = field(default_factory=_Meter)


class Traffic:
    """Of one network. What is counted are messages, not the frames and keys around them."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._protocols: dict[str, _Both] = {}

    def received(self, protocol: str, size: int) -> None:
        """`protocol` is one that this node serves."""
        self._protocols.setdefault(protocol, _Both()).received.add(size, self._now())

    def sent(self, protocol: str, size: int) -> None:
        """`protocol` is one that this node offers."""
        self._protocols.setdefault(protocol, _Both()).sent.add(size, self._now())

    def counting(self, handler: MessageHandler) -> MessageHandler:
        """The same handler, its messages counted as received."""

        async def counted(peer: str, protocol: str, message: bytes) -> None:
            self.received(protocol, len(message))
            await handler(peer, protocol, message)

        return counted

    def counting_gossip(self, handler: GossipHandler) -> GossipHandler:
        """As `counting`, of gossip."""

        async def counted(message: GossipMessage) -> None:
            self.received(GOSSIP, len(message.data))
            await handler(message)

        return counted

    def totals(self) -> Mapping[str, ProtocolTraffic]:
        """By protocol, in order."""
        now = self._now()
        return {
            protocol: ProtocolTraffic(
                both.received.total, both.sent.total, both.received.rate_at(now), both.sent.rate_at(now)
            )
            for protocol, both in sorted(self._protocols.items())
        }
