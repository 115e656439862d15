"""Messages to peers, on the asyncio side: dials the peer if need be, and bounds what is in flight to it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Container

from bitswap.network import PeerUnreachable
from node.p2p.errors import NetworkError
from node.p2p.messaging.flow_control import CreditWindow

_IN_FLIGHT = 4 * 1024 * 1024  # bytes of messages on their way to one peer

Send = Callable[[str, tuple[str, ...], bytes], Awaitable[str]]
"""(peer, protocols, message) -> the protocol it went by. Raises NetworkError."""

Dial = Callable[[str], Awaitable[None]]
"""(peer): be connected to it. Raises NetworkError."""


class MessageSender:
    """A peer that reads slowly makes the senders to it wait, and none of the others."""

    def __init__(self, send: Send, dial: Dial, connected: Container[str]) -> None:
        self._send = send
        self._dial = dial
        self._connected = connected
        self._windows: dict[str, CreditWindow] = {}

    async def send(self, peer: str, protocols: tuple[str, ...], message: bytes) -> str:
        """The protocol it went by. Raises PeerUnreachable."""
        try:
            if peer not in self._connected:
                await self._dial(peer)
            async with self._windows.setdefault(peer, CreditWindow(_IN_FLIGHT)).hold(len(message)):
                return await self._send(peer, protocols, message)
        except NetworkError as error:
            raise PeerUnreachable(f"{peer}: {error}") from error

    def peer_changed(self, peer: str, connected: bool) -> None:
        if not connected:
            self._windows.pop(peer, None)
