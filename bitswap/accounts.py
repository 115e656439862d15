"""What went to each peer and came from it: kept when it goes, for as long as there is room."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cachetools import LRUCache

from bitswap.received import ReceivedBlock

_REMEMBERED = 4096  # peers


@dataclass(slots=True)
class PeerAccount:
    """Blocks and their bytes since the start; received ones are those that we wanted."""

    blocks_sent: int = 0
    bytes_sent: int = 0
    blocks_received: int = 0
    bytes_received: int = 0
    duplicate_blocks: int = 0


class PeerAccounts:
    """By peer; of more than 4096 those that were not heard of for longest are forgotten."""

    def __init__(self) -> None:
        self._accounts: LRUCache[str, PeerAccount] = LRUCache(_REMEMBERED)

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._accounts))

    def of(self, peer: str) -> PeerAccount:
        """As it stands; nothing is noted of a peer that is new."""
        return self._accounts.get(peer) or PeerAccount()

    def received(
        self, peer: str, wanted: Sequence[ReceivedBlock], duplicates: Sequence[ReceivedBlock]
    ) -> None:
        account = self._noted(peer)
        account.blocks_received += len(wanted)
        account.bytes_received += sum(len(block.data) for block in wanted)
        account.duplicate_blocks += len(duplicates)

    def sent(self, peer: str, blocks: int, size: int) -> None:
        account = self._noted(peer)
        account.blocks_sent += blocks
        account.bytes_sent += size

    def _noted(self, peer: str) -> PeerAccount:
        if (account := self._accounts.get(peer)) is None:
            account = self._accounts[peer] = PeerAccount()
        return account
