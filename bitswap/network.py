"""What Bitswap asks of the world: messages between peers, never streams; and blocks to give to them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Container, Sequence
from typing import Protocol

from blockstore.block import Block
from blockstore.cid import CID
from blockstore.store import StoreStat

MessageHandler = Callable[[str, str, bytes], Awaitable[None]]
"""(peer id, protocol, message). The network reads no further message from that peer until it returns,
so that back-pressure reaches the sender."""

PeerHandler = Callable[[str, bool], None]
"""(peer id, connected). Called on the event loop; must not block."""


MAX_MESSAGE = 4 * 1024 * 1024
"""Bytes of one message."""


class PeerUnreachable(Exception):
    """The peer is not connected and could not be, or its stream broke: what was sent may be lost."""


class ProtocolTaken(Exception):
    """That protocol has a handler already: each has one, for as long as the network is open."""

    def __init__(self, protocol: str) -> None:
        super().__init__(f'"{protocol}" has a handler already')


def check_message(message: bytes) -> None:
    """What every MessageNetwork checks. Raises ValueError above MAX_MESSAGE."""
    if len(message) > MAX_MESSAGE:
        raise ValueError(f"a message of {len(message)} bytes; the limit is {MAX_MESSAGE}")


def check_free(protocols: Sequence[str], taken: Container[str]) -> None:
    """What every MessageNetwork checks of protocols that are to get a handler. Raises ProtocolTaken."""
    for protocol in protocols:
        if protocol in taken:
            raise ProtocolTaken(protocol)


class ServedBlockSource(Protocol):
    """The blocks that peers may have of us: what a Blockstore holds, or less."""

    async def get_many(self, cids: Sequence[CID]) -> list[Block | None]:
        """One answer a CID, in order; None for what they may not have."""
        ...

    async def stat(self, cids: Sequence[CID]) -> list[StoreStat | None]:
        """Sizes, in order; None for what they may not have."""
        ...


class MessageNetwork(Protocol):
    """Length-prefixed messages over kept-open streams. A peer is the text of its peer id."""

    @property
    def self_id(self) -> str: ...

    async def send(self, peer: str, protocols: Sequence[str], message: bytes) -> str:
        """Send one message on our own outbound stream to that peer, opened on first use and kept.

        Returns the protocol that was negotiated, the first of `protocols` that the peer speaks. Messages to
        one peer arrive in the order sent. Returns when the message is handed to the transport, which waits
        while the peer reads slowly. Raises PeerUnreachable; ValueError above MAX_MESSAGE.
        """
        ...

    def on_message(self, protocols: Sequence[str], handler: MessageHandler) -> None:
        """Serve these protocols; one handler for all of them. A longer message resets its stream.

        Raises ProtocolTaken when one of them is served already.
        """
        ...

    async def disconnect(self, peer: str) -> None:
        """Hang up, and do not keep that peer connected. The peer may dial us, and `send` dials it again."""
        ...

    def peers(self) -> frozenset[str]:
        """Who is connected now."""
        ...

    def on_peer_change(self, handler: PeerHandler) -> None:
        """Hear of each connect and disconnect from now on."""
        ...

    def note_use(self, peer: str) -> None:
        """That peer gave us a block we wanted, or took one: it is kept before peers that do neither."""
        ...
