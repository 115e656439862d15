"""What Bitswap has done so far: for metrics and `status`."""

from __future__ import annotations

from dataclasses import asdict, dataclass


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
class BlockCounts:
    """Blocks and their bytes since the start; received ones are those that we wanted."""

    blocks_sent: int = 0
    bytes_sent: int = 0
    blocks_received: int = 0
    bytes_received: int = 0
    duplicate_blocks: int = 0

    def sent(self, blocks: int, size: int) -> None:
        self.blocks_sent += blocks
        self.bytes_sent += size

    def received(self, blocks: int, size: int, duplicates: int) -> None:
        """`size` is that of the blocks that were wanted."""
        self.blocks_received += blocks
        self.bytes_received += size
        self.duplicate_blocks += duplicates


@dataclass(slots=True)
class Counters(BlockCounts):
    """The part of Statistics that only grows."""

    duplicate_bytes: int = 0
    unsolicited_blocks: int = 0
    unsolicited_bytes: int = 0
    messages_received: int = 0
    messages_sent: int = 0
    bad_messages: int = 0
    failed_sends: int = 0

    def snapshot(self, wants: int, peers: tuple[PeerStatistics, ...]) -> Statistics:
        return Statistics(wants=wants, peers=peers, **asdict(self))
