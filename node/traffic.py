"""Bytes of messages by protocol, both ways, and how many a second lately (libp2p's bandwidth counter)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from blockstore.common.meter import Meter


@dataclass(frozen=True, slots=True)
class ProtocolTraffic:
    """Totals in bytes since the start, rates in bytes a second."""

    total_in: int
    total_out: int
    rate_in: float
    rate_out: float


@dataclass(frozen=True, slots=True)
class _Both:
    received: Meter
    sent: Meter


class Traffic:
    """Of one network. What is counted are messages, not the frames and keys around them."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._begun = now()
        self._protocols: dict[str, _Both] = {}

    def received(self, protocol: str, size: int) -> None:
        """`protocol` is one that this node serves."""
        self._of(protocol).received.add(size, self._now())

    def sent(self, protocol: str, size: int) -> None:
        """`protocol` is one that this node offers."""
        self._of(protocol).sent.add(size, self._now())

    def totals(self) -> Mapping[str, ProtocolTraffic]:
        """By protocol, in order."""
        now = self._now()
        return {
            protocol: ProtocolTraffic(
                both.received.total, both.sent.total, both.received.rate_at(now), both.sent.rate_at(now)
            )
            for protocol, both in sorted(self._protocols.items())
        }

    def _of(self, protocol: str) -> _Both:
        if (both := self._protocols.get(protocol)) is None:
            both = self._protocols[protocol] = _Both(Meter(self._begun), Meter(self._begun))
        return both
