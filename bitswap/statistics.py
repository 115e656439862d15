"""What Bitswap has done so far: for metrics and `status`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from bitswap.message import Payload
from bitswap.received import ReceivedBlock


@dataclass(frozen=True, slots=True)
class PeerStatistics:
    """One peer's ledger: its wants, and bytes queued for it; it knows of `asked` wants of ours.

    What went to it and came from it is counted since the start. `duplicate_blocks` came when another peer had
    sent them already.
    """

    peer: str
    wants: int = 0
    queued_bytes: int = 0
    asked: int = 0
    connected: bool = False
    blocks_sent: int = 0
    bytes_sent: int = 0
    blocks_received: int = 0
    bytes_received: int = 0
    duplicate_blocks: int = 0


@dataclass(frozen=True, slots=True)
class Statistics:
    """Counts since the start; sizes are bytes of block data. `wants`: blocks that we want now.

    Received blocks are those we wanted. Duplicates came after we had stopped wanting them, unsolicited ones
    were never asked for; both were dropped.
    """

    wants: int = 0
    blocks_received: int = 0
    bytes_received: int = 0
    duplicate_blocks: int = 0
    duplicate_bytes: int = 0
    unsolicited_blocks: int = 0
    unsolicited_bytes: int = 0
    blocks_sent: int = 0
    bytes_sent: int = 0
    messages_received: int = 0
    messages_sent: int = 0
    bad_messages: int = 0
    failed_sends: int = 0
    peers: tuple[PeerStatistics, ...] = ()


@dataclass(slots=True)
class Counters:
    """The part of Statistics that only grows."""

    blocks_received: int = 0
    bytes_received: int = 0
    duplicate_blocks: int = 0
    duplicate_bytes: int = 0
    unsolicited_blocks: int = 0
    unsolicited_bytes: int = 0
    blocks_sent: int = 0
    bytes_sent: int = 0
    messages_received: int = 0
    messages_sent: int = 0
    bad_messages: int = 0
    failed_sends: int = 0

    def count(
        self,
        received: Sequence[Payload],
        wanted: Sequence[ReceivedBlock],
        duplicates: Sequence[ReceivedBlock],
    ) -> None:
        """Blocks of one message; those neither wanted nor duplicate were unsolicited."""
        total, good, late = (
            sum(len(one.data) for one in blocks) for blocks in (received, wanted, duplicates)
        )
        self.blocks_received += len(wanted)
        self.bytes_received += good
        self.duplicate_blocks += len(duplicates)
        self.duplicate_bytes += late
        self.unsolicited_blocks += len(received) - len(wanted) - len(duplicates)
        self.unsolicited_bytes += total - good - late

    def snapshot(self, wants: int, peers: tuple[PeerStatistics, ...]) -> Statistics:
        return Statistics(wants=wants, peers=peers, **asdict(self))
