"""What the upkeep of a store asks of it beside blocks: removing garbage, reading everything anew."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol

from blockstore.cid import CID
from blockstore.store import NO_LIMIT, Blockstore


@dataclass(frozen=True, slots=True)
class Located:
    """A block as the index of a store knows it, sound or not; `only_data` as in `leaf.holds_only_data`.

    `number` is its own as long as it is stored, and never that of another; they lie close together.
    """

    number: int
    size: int
    only_data: bool


@dataclass(frozen=True, slots=True)
class Swept:
    """Blocks that were removed together (as raw CIDs), and their bytes."""

    cids: Sequence[CID]
    bytes: int


class Collection(Protocol):
    """One collection of garbage. What is put or looked up while it lasts counts as in use."""

    async def keep(self, cids: Sequence[CID]) -> None:
        """These stay; those that are not here pass. Nothing of their data is read."""
        ...

    def sweep(self, need: int = NO_LIMIT) -> AsyncIterator[Swept]:
        """Remove what is neither kept nor in use, in steps between which others write.

        It ends when `need` bytes are gone; what was read lately goes last, least recently used first.
        """
        ...


class CollectedStore(Blockstore, Protocol):
    """A store whose garbage is collected while it is used."""

    def protect(self) -> AbstractContextManager[None]:
        """While the block lasts, no collection takes a block that was put in it, be it new or here before.

        For imports: their blocks have no pinned root yet. Hold it until the root is recorded.
        """
        ...

    def collecting(self) -> AbstractAsyncContextManager[Collection]:
        """One collection at a time, over the blocks that are here at its start. Raises CollectorBusy."""
        ...

    async def located(self, cids: Sequence[CID]) -> dict[bytes, Located]:
        """Those that are here, damaged ones too, by multihash; looking so does not count as use.

        Raises StoreCorrupt where that cannot be known.
        """
        ...

    async def reclaim(self) -> int:
        """A step of giving free space back to the disk; what is left of it, in the store's units."""
        ...


class Reservation(Protocol):
    """Room for bytes that are to come; other reservations, and what members are told, leave it alone."""

    async def need(self, size: int) -> None:
        """So many bytes are still to come, in place of what was said before. Raises StorageFull."""
        ...

    def took(self, size: int) -> None:
        """So many of them are here."""
        ...


Reserving = Callable[[], AbstractContextManager[Reservation]]
"""`ReservedStore.reserve` of some store."""


class _Unreserved:
    async def need(self, size: int) -> None:
        """Any amount."""

    def took(self, size: int) -> None:
        """None of it was counted."""


@contextmanager
def unreserved() -> Generator[Reservation]:
    """The reservation of a store without a bound."""
    yield _Unreserved()


class ReservedStore(Protocol):
    """A store in which room can be reserved before the first byte comes."""

    def reserve(self) -> AbstractContextManager[Reservation]:
        """A reservation for the length of the block; at first of nothing."""
        ...


Place = bytes
"""How far a pass over a whole store is: only the store knows what it means."""


@dataclass(frozen=True, slots=True)
class Verified:
    """Blocks that were read from the disk and hashed: how many are sound, and their bytes.

    The others by name, as raw CIDs: `damaged` ones are set aside, so they are missing from now on and may
    come again. Of `unreadable` ones nothing is known, for the disk did not answer, and nothing was changed.
    `missing` were asked for and are not here. `place` is where to go on; empty at the end.
    """

    blocks: int = 0
    bytes: int = 0
    damaged: Sequence[CID] = ()
    unreadable: Sequence[CID] = ()
    missing: Sequence[CID] = ()
    place: Place = b""

    def joined(self, other: Verified) -> Verified:
        """Both together, as far as the other is."""
        return Verified(
            self.blocks + other.blocks,
            self.bytes + other.bytes,
            (*self.damaged, *other.damaged),
            (*self.unreadable, *other.unreadable),
            (*self.missing, *other.missing),
            other.place,
        )


class VerifiedStore(Protocol):
    """A store whose blocks can be read from the disk itself, around all caches. Everything is hashed anew."""

    async def verify(self, cids: Sequence[CID]) -> Verified:
        """These blocks. No use in the sense of a collection."""
        ...

    async def verify_behind(self, place: Place) -> Verified:
        """Some MiB of all blocks, behind the place of the last call; from the beginning with b"".

        A place is good for later runs of the program too.
        """
        ...

    async def until_damaged(self) -> None:
        """Wait until more blocks are found damaged; what was found before the call counts too."""
        ...


@dataclass(frozen=True, slots=True)
class Moving:
    """Bytes of blocks that were brought into the form of this release, and of at most how many are left."""

    moved: int
    left: int


@dataclass(slots=True)
class PutCounts:
    """Since the start. `put` blocks were handed in, `failed` of them were refused; `stored` were new here."""

    put: int = 0
    failed: int = 0
    stored: int = 0
    stored_bytes: int = 0


class LocalStore(CollectedStore, VerifiedStore, ReservedStore, Protocol):
    """A store on the disks of this machine, whatever the form in which it keeps blocks."""

    @property
    def put_counts(self) -> PutCounts: ...

    @property
    def deletions(self) -> int:
        """Moves when blocks were deleted, or lost: then what is kept of blocks elsewhere is forgotten."""
        ...

    async def moving(self) -> Moving | None:
        """How far blocks are that an earlier release stored in another form; None when all are."""
        ...
