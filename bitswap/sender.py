"""Outgoing messages, each in the form that its peer's protocol has."""

from __future__ import annotations

import asyncio

from bitswap.message import PROTOCOL_1_0, PROTOCOL_1_2, PROTOCOLS, Message
from bitswap.message_codec import encode
from bitswap.network import MessageNetwork, PeerUnreachable
from bitswap.statistics import Counters

# For one message to be taken by the transport: a peer that reads nothing for so long is gone.
_SEND_SECONDS = 60.0


class Sender:
    def __init__(self, network: MessageNetwork, counters: Counters) -> None:
        self._network = network
        self._counters = counters
        self._protocols: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"<Sender to {len(self._protocols)} peers>"

    def heard(self, peer: str, protocol: str) -> None:
        """It spoke this protocol to us, so it understands it."""
        self._protocols.setdefault(peer, protocol)

    def forget(self, peer: str) -> None:
        self._protocols.pop(peer, None)

    async def send(self, peer: str, message: Message) -> None:
        """Returns when the transport has taken the message. Raises PeerUnreachable."""
        try:
            async with asyncio.timeout(_SEND_SECONDS):
                await self._send(peer, message)
        except TimeoutError:
            self._counters.failed_sends += 1
            raise PeerUnreachable(f"{peer} took no message for {_SEND_SECONDS:.0f} s") from None
        except PeerUnreachable:
            self._counters.failed_sends += 1
            raise

    async def _send(self, peer: str, message: Message) -> None:
        guess = self._protocols.get(peer, PROTOCOL_1_2)
        spoken = await self._network.send(peer, PROTOCOLS, encode(message, guess))
        self._counters.messages_sent += 1
        if message.payloads:
            self._network.note_use(peer)
        if guess != spoken and (peer in self._protocols or peer in self._network.peers()):
            self._protocols[peer] = spoken
        if message.payloads and (spoken == PROTOCOL_1_0) != (guess == PROTOCOL_1_0):
            await self._network.send(peer, PROTOCOLS, encode(message, spoken))  # its blocks look otherwise
