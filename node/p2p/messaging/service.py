"""A service: protocols, and who handles the messages that peers send on them."""

from __future__ import annotations

from dataclasses import dataclass

from bitswap.network import MessageHandler


@dataclass(frozen=True, slots=True, eq=False)
class Service:
    """`longest`: bytes of one message. `to_all`: served whatever the gate says of the peer.

    `limited`: its messages wait where the network's bandwidth is limited.
    """

    protocols: tuple[str, ...]
    handler: MessageHandler
    longest: int
    to_all: bool = False
    limited: bool = False
