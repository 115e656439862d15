"""Many operations at once: what takes no walk, in a few reads, one record and a question a holder."""

from __future__ import annotations

from collections.abc import Sequence

from blockstore.cid import CID
from cluster.context import ClusterContext
from cluster.errors import BadUpdate
from cluster.ports import AttemptStore, LocalPins, PinFailed
from cluster.tracking.operation import Lane, Operation, Wished, wished_of
from cluster.tracking.releases import Releases


class GroupExecutor:
    """Looks at operations together. What it leaves, and what fails, `Executor.perform` does one by one."""

    def __init__(
        self, context: ClusterContext, pins: LocalPins, attempts: AttemptStore, releases: Releases
    ) -> None:
        self._peer = context.peer
        self._pinset = context.pinset
        self._pins = pins
        self._attempts = attempts
        self._releases = releases

    async def pin_many(self, operations: Sequence[Operation]) -> Sequence[Operation]:
        """Record those whose blocks are here for certain; the others."""
        try:
            return await self._pin(operations)
        except (PinFailed, BadUpdate, OSError):
            return operations

    async def unpin_many(self, operations: Sequence[Operation]) -> Sequence[Operation]:
        """Forget those that were removed from the pinset or moved, as far as that may be; the others."""
        try:
            return await self._unpin(operations)
        except (PinFailed, BadUpdate, OSError):
            return operations

    async def _pin(self, operations: Sequence[Operation]) -> list[Operation]:
        wished: dict[CID, Operation] = {}
        modes: dict[CID, bool] = {}
        measured: list[Operation] = []
        for operation, what in await self._told(operations):
            if what is Wished.MEASURED:
                measured.append(operation)
            elif what.is_here:
                wished[operation.cid], modes[operation.cid] = operation, what is Wished.WHOLE
            else:
                operation.successor = operation.successor or Lane.UNPIN
        here = await self._pins.pin_here(modes)
        await self._succeeded(list(here))
        return [*(operation for cid, operation in wished.items() if cid not in here), *measured]

    async def _unpin(self, operations: Sequence[Operation]) -> list[Operation]:
        moved: dict[CID, Operation] = {}
        gone: dict[CID, Operation] = {}
        for operation, what in await self._told(operations):
            if what.is_here:
                operation.successor = operation.successor or Lane.NORMAL
            else:
                (gone if what is Wished.NOWHERE else moved)[operation.cid] = operation
        held = await self._held([*gone, *moved])
        await self._forget([cid for cid in gone if cid in held])
        await self._let_go([cid for cid in moved if cid in held])
        await self._succeeded([*gone, *moved])
        return []

    async def _told(self, operations: Sequence[Operation]) -> list[tuple[Operation, Wished]]:
        """What the pinset says of each now; it is asked where no change of it said so."""
        unknown = [operation.cid for operation in operations if operation.wished is None]
        pins = await self._pinset.get_many(unknown) if unknown else []
        asked = {cid: wished_of(pin, self._peer) for cid, pin in zip(unknown, pins, strict=True)}
        return [(operation, operation.wished or asked[operation.cid]) for operation in operations]

    async def _held(self, cids: Sequence[CID]) -> set[CID]:
        return {local.cid for local in await self._pins.get_many(cids) if local is not None}

    async def _forget(self, cids: Sequence[CID]) -> None:
        """That the pinset does not have one is no reason: see `PinsetReader.was_removed`."""
        removed = await self._pinset.were_removed(cids)
        await self._pins.unpin_many([cid for cid, is_gone in zip(cids, removed, strict=True) if is_gone])

    async def _let_go(self, cids: Sequence[CID]) -> None:
        """Those that are moved as before; what changed meanwhile has an operation of its own."""
        pins = await self._pinset.get_many(cids) if cids else []
        await self._releases.let_go([pin for pin in pins if pin is not None and not pin.held_by(self._peer)])

    async def _succeeded(self, cids: Sequence[CID]) -> None:
        """Earlier attempts at these are over."""
        failed = [attempt.cid for attempt in await self._attempts.get_many(cids) if attempt is not None]
        if failed:
            await self._attempts.remove_many(failed)
