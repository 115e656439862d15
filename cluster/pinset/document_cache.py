"""Documents in memory, as far as a change needs them: whole, or as an outline that new entries are added to.

A CID that the pinset never had cannot have anything to do with the entries that a document has. So they stay
on the disk, and adding one costs the same whether a document holds one pin or a hundred.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import chain
from typing import ClassVar

from blockstore.cid import CID
from cluster.common.cooperative import TimeSlice
from cluster.errors import DamagedDocument
from cluster.pinset.documents.clocks import NO_CLOCKS, encode_clocks
from cluster.pinset.documents.document import Document
from cluster.pinset.documents.document_digest import MODULUS
from cluster.pinset.documents.growing_document import GrowingDocument
from cluster.pinset.tables.rows import DocumentChange, DocumentOutline, StoredDocument
from cluster.pinset.tables.store import PinsetStore

CACHED_DOCUMENTS = 256  # of the many that exist, few are touched twice in a row
_MIN_UPDATES = 16  # before a snapshot is worth writing
_PAGE = 256  # documents read whole at once


class OpenDocument:
    """A loaded document, and how much of its stored form is snapshot and how much are updates since."""

    __slots__ = ("_snapshot_bytes", "_update_bytes", "_updates", "content", "number")
    only_adds: ClassVar[bool] = False

    def __init__(self, number: int, client: int, snapshot: bytes, updates: Sequence[bytes]) -> None:
        """Raises DamagedDocument."""
        self.number = number
        try:
            self.content = Document(client, (state for state in (snapshot, *updates) if state))
        except BaseException as error:
            # yrs's PanicException is no Exception; everything else of that kind is not ours to keep.
            if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
                raise
            raise DamagedDocument(number) from None
        self._snapshot_bytes = len(snapshot)
        self._update_bytes = sum(map(len, updates))
        self._updates = len(updates)

    def store(self, updates: Sequence[bytes]) -> DocumentChange:
        """What to write for these updates, applied already: they are appended, or all becomes a snapshot."""
        position = self._updates
        self._updates += len(updates)
        self._update_bytes += sum(map(len, updates))
        snapshot = None
        if _is_worth_a_snapshot(self._updates, self._update_bytes, self._snapshot_bytes):
            snapshot = self.content.state()
            self._snapshot_bytes, self._update_bytes, self._updates = len(snapshot), 0, 0
        return self._change(self.content.digest(), position, updates, snapshot)

    def store_whole(self) -> DocumentChange:
        """What to write to replace all that is stored of it."""
        return self._change(self.content.digest(), 0, (), self.content.state())

    def _change(
        self, digest: int, position: int, updates: Sequence[bytes], snapshot: bytes | None
    ) -> DocumentChange:
        clocks = encode_clocks(self.content.clocks)
        return DocumentChange(self.number, digest, clocks, position, tuple(updates), snapshot)


class OutlinedDocument:
    """A document without the entries that it has on disk: new ones can be added, and nothing else be done."""

    __slots__ = ("_outline", "content", "number")
    only_adds: ClassVar[bool] = True
    """Whether no entry in it has a row before it is written here."""

    def __init__(self, number: int, client: int, outline: DocumentOutline) -> None:
        self.number = number
        self._outline = outline
        self.content = GrowingDocument(client, outline.clocks or NO_CLOCKS)

    def store(self, updates: Sequence[bytes]) -> DocumentChange:
        """What to write for these updates, applied already: they are appended."""
        digest = (self._outline.digest + self.content.gain()) % MODULUS
        clocks = encode_clocks(self.content.clocks)
        return DocumentChange(self.number, digest, clocks, self._outline.updates, tuple(updates), None)


AnyDocument = OpenDocument | OutlinedDocument


@dataclass(frozen=True, slots=True)
class Touched:
    """The CIDs that a change sets or removes, by document; in those of `whole` it replaces entries.

    Those of `new` it leaves alone where they are pinned.
    """

    cids: Mapping[int, Sequence[CID]]
    whole: Set[int] = frozenset()
    new: Set[CID] = frozenset()


@dataclass(frozen=True, slots=True)
class Opened:
    """What a change needs of the documents that it touches.

    `pinned`: the entries' values of CIDs that it leaves alone, for which no document was read.
    """

    documents: Mapping[int, AnyDocument]
    pinned: Mapping[CID, bytes]


def _is_worth_a_snapshot(updates: int, update_bytes: int, snapshot_bytes: int) -> bool:
    return updates >= _MIN_UPDATES and update_bytes > snapshot_bytes // 2


class DocumentCache:
    """The documents of one pinset. One that was changed is to be stored, or forgotten when that failed."""

    def __init__(self, store: PinsetStore, limit: int = CACHED_DOCUMENTS) -> None:
        self._store = store
        self._limit = limit
        self._open: OrderedDict[int, OpenDocument] = OrderedDict()
        self.damaged: frozenset[int] = frozenset()
        """Those that could not be read from the disk, until they are made again."""

    async def open(self, touched: Touched, client: int, time_slice: TimeSlice) -> Opened:
        """What a change needs of these documents; new ones write as `client`."""
        opened: dict[int, AnyDocument] = {}
        whole = [number for number in touched.cids if number in self._open]
        unread = [number for number in sorted(touched.cids) if number not in self._open]
        cids = {number: [bytes(cid) for cid in touched.cids[number]] for number in unread}
        outlines, known = await self._store.outlines(unread, list(chain.from_iterable(cids.values())))
        pinned = {cid: value for cid in touched.new if (value := known.get(bytes(cid))) is not None}
        changed = known.keys() - map(bytes, pinned)
        for number, outline in zip(unread, outlines, strict=True):
            if number in touched.whole or _has_to_be_read(outline) or not changed.isdisjoint(cids[number]):
                whole.append(number)
            else:
                opened[number] = OutlinedDocument(number, client, outline)
            if time_slice.is_due:
                await time_slice.rest()
        digests = {
            number: outline.digest
            for number, outline in zip(unread, outlines, strict=True)
            if outline.clocks is not None
        }
        return Opened(opened | await self.load(whole, client, time_slice, digests), pinned)

    async def load(
        self,
        numbers: Iterable[int],
        client: int,
        time_slice: TimeSlice,
        digests: Mapping[int, int] = NO_CLOCKS,
    ) -> dict[int, OpenDocument]:
        """All of these whole, from memory or disk; new ones write as `client`.

        Raises DamagedDocument where one cannot be read, or has another digest than the one given here.
        """
        wanted = sorted(set(numbers))
        missing = [number for number in wanted if number not in self._open]
        for first in range(0, len(missing), _PAGE):
            page = missing[first : first + _PAGE]
            for number, stored in zip(page, await self._store.documents(page), strict=True):
                self._open[number] = self._read(number, client, stored, digests.get(number))
                if time_slice.is_due:
                    await time_slice.rest()
        loaded = {}
        for number in wanted:
            self._open.move_to_end(number)
            loaded[number] = self._open[number]
        await self._trim(len(loaded), time_slice)
        return loaded

    def _read(self, number: int, client: int, stored: StoredDocument, digest: int | None) -> OpenDocument:
        try:
            document = OpenDocument(number, client, stored.snapshot, stored.updates)
            if digest is not None and document.content.digest() != digest:
                raise DamagedDocument(number)
        except DamagedDocument:
            self.damaged |= {number}
            raise
        return document

    def remade(self, numbers: Iterable[int]) -> None:
        """These were made again, on the disk."""
        numbers = frozenset(numbers)
        self.forget(numbers)
        self.damaged -= numbers

    def forget(self, numbers: Iterable[int]) -> None:
        """Drop documents whose change did not reach the disk; the next use reads them from there."""
        for number in numbers:
            self._open.pop(number, None)

    def forget_all(self) -> None:
        self.forget(list(self._open))

    async def _trim(self, keep: int, time_slice: TimeSlice) -> None:
        while len(self._open) > max(self._limit, keep):
            self._open.popitem(last=False)
            if time_slice.is_due:
                await time_slice.rest()


def _has_to_be_read(outline: DocumentOutline) -> bool:
    """Whether its clocks are not known, or its updates have become so many that a snapshot is due."""
    sizes = outline.updates, outline.update_bytes, outline.snapshot_bytes
    return outline.clocks is None or _is_worth_a_snapshot(*sizes)
