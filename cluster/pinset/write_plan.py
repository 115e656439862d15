"""What writes of this node's users come to, taken together and in their order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from blockstore.cid import CID
from cluster.common.cooperative import TimeSlice
from cluster.pinset.changes import PinWrite
from cluster.pinset.transaction import Transaction, newest


@dataclass(frozen=True, slots=True)
class WritePlan:
    """Each write's entry value as it found it; by document, the values that are left when all are done."""

    before: tuple[bytes | None, ...]
    changes: Mapping[int, Mapping[CID, bytes | None]]

    async def apply(self, transaction: Transaction, time_slice: TimeSlice) -> None:
        """Change the transaction's documents."""
        for number, values in sorted(self.changes.items()):
            update, entries = transaction.documents[number].content.write(values)
            if update:
                transaction.add(number, update, entries)
            if time_slice.is_due:
                await time_slice.rest()


async def plan_writes(
    writes: Sequence[PinWrite],
    transaction: Transaction,
    pinned: Mapping[CID, bytes],
    numbers: Mapping[CID, int],
    stamp: int,
    time_slice: TimeSlice,
) -> WritePlan:
    """For documents that are loaded in the transaction, none of which is changed by this.

    `pinned` are the values of new ones that are there; `numbers` say in which document each CID is.
    """
    before: list[bytes | None] = []
    latest: dict[CID, bytes | None] = {}
    changes: dict[int, dict[CID, bytes | None]] = {}
    for write in writes:
        cid = write.cid
        if cid in pinned:
            before.append(pinned[cid])
            continue
        number = numbers[cid]
        if cid not in latest:
            latest[cid] = newest(transaction.documents[number].content.entries(cid))
        before.append(latest[cid])
        if write.is_new and latest[cid] is not None:
            continue
        latest[cid] = changes.setdefault(number, {})[cid] = transaction.encode(write.pin, stamp)
        if time_slice.is_due:
            await time_slice.rest()
    return WritePlan(tuple(before), changes)
