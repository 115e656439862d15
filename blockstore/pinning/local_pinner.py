"""Local pins: the roots this node promised to keep, and pinning as walk, fetch, record."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from blockstore.blocks import Blocks
from blockstore.cid import CID, RAW
from blockstore.common.kept_count import KeptCount
from blockstore.errors import PinWithdrawn, StorageFull
from blockstore.ipld.dag_walk import DagWalk
from blockstore.marks import Marks, Unmarked
from blockstore.pinning.checkpoints import SPACING, Checkpoints
from blockstore.pinning.root_walk import Progress as Progress
from blockstore.pinning.root_walk import RootWalk
from blockstore.sqlite import pinned_roots
from blockstore.sqlite.completion import Completing
from blockstore.sqlite.database import Ballast, SqliteDatabase, open_database
from blockstore.sqlite.pinned_roots import NO_ROOTS, RootColumns
from blockstore.sqlite.pinned_roots import PinnedRoot as PinnedRoot
from blockstore.upkeep import Reserving, unreserved

_log = logging.getLogger(__name__)


def _carried(roots: Mapping[CID, bool]) -> dict[CID, PinnedRoot]:
    """Those that carry all of what is pinned in their CIDs, and so need no block."""
    return {
        cid: PinnedRoot(cid, True, recursive, 1, len(cid.digest))
        for cid, recursive in roots.items()
        if cid.is_identity and (cid.codec == RAW or not recursive)
    }


@asynccontextmanager
async def open_local_pins(
    path: Path,
    blocks: Blocks,
    marks: Marks | None = None,
    ballast: Ballast | None = None,
    reserving: Reserving = unreserved,
    spacing: float = SPACING,
) -> AsyncIterator[LocalPinner]:
    """Open or create the roots in that file, over those blocks. Raises StoreCorrupt, StoreUnavailable.

    Where `marks` show that these are not the blocks that the roots were written beside, no root counts as
    complete until it was walked again. On a full disk `ballast` is given up. `reserving` is asked for room
    for a DAG that is about to be fetched. How far a walk is is kept every `spacing` seconds.
    """
    marks = marks or Unmarked()
    async with open_database(
        path,
        pragmas=pinned_roots.PRAGMAS,
        schema=pinned_roots.SCHEMA,
        readers=1,
        remedy=pinned_roots.REMEDY,
        ballast=ballast,
    ) as database:
        completing = Completing(database, blocks.store, marks)
        if await _doubt_foreign(database, marks):
            await _renew(completing, path)
        try:
            checkpoints = Checkpoints(database, blocks.store, marks, spacing)
            yield LocalPinner(database, blocks, completing, checkpoints, reserving)
        finally:
            await completing.finish()


async def _renew(completing: Completing, path: Path) -> None:
    try:
        await completing.renew()
    except StorageFull as error:
        _log.warning("that %s and the blocks belong together is noted at the next start: %s", path, error)


async def _doubt_foreign(database: SqliteDatabase, marks: Marks) -> bool:
    """Whether the roots do not have the mark of these blocks; then none of them counts as complete."""
    beside = await database.read(pinned_roots.known_beside)
    if beside is None:
        foreign = await marks.is_new() or await marks.is_marked()  # else both are of a release before marks
    else:
        mark, parts = beside
        foreign = marks.parts < parts or not await marks.has_mark(mark)
    if foreign and (count := await database.write(pinned_roots.doubt_all)):
        _log.warning(
            "%s and the blocks beside it do not belong together: %d pins are looked through again, and what "
            "is missing is fetched",
            database.path,
            count,
        )
    return foreign or beside is None


class LocalPinner:
    """Keeps roots. A complete one survives a power failure, and its blocks with it."""

    def __init__(
        self,
        database: SqliteDatabase,
        blocks: Blocks,
        completing: Completing,
        checkpoints: Checkpoints,
        reserving: Reserving = unreserved,
    ) -> None:
        self._database = database
        self._completing = completing
        self._checkpoints = checkpoints
        self._losses = 0
        self._blocks = blocks
        self._reserving = reserving
        self._roots = KeptCount(lambda: database.read(pinned_roots.count))
        self._complete_handlers: list[Callable[[Sequence[CID]], None]] = []
        self._walks: dict[CID, set[object]] = {}  # one token a walk; `unpin` drops them

    def __repr__(self) -> str:
        return f"<LocalPinner {self._database.path}>"

    def on_complete(self, handler: Callable[[Sequence[CID]], None]) -> None:
        """Hear of each root that becomes complete, once that is durable. Must not block."""
        self._complete_handlers.append(handler)

    async def pin(
        self,
        cid: CID,
        *,
        recursive: bool,
        hints: Sequence[str],
        progress: Progress,
        max_size: int = 0,
    ) -> PinnedRoot:
        """Record the root as incomplete, walk it and fetch what is missing, record it as complete.

        A complete root returns at once. After a failure or a cancellation the root stays, incomplete, with
        the blocks that came; calling again goes on from there, also after a restart. `hints` are peer ids to
        ask first.
        A DAG that does not fit, or has more than `max_size` bytes (0 = any number), by what its root says of
        its size, is refused before more of it is fetched.
        Raises BlockNotFound with the exchange's reason, StorageFull, AboveMaxSize, BadBlock, UnknownCodec,
        DagTooLarge; PinWithdrawn when `unpin` came in between.
        """
        with self._walking(cid) as walking:
            (known,) = await self._begin({cid: recursive})
            if known.complete:
                return known
            return await self._walk(known, hints, progress, walking, max_size)

    async def pin_here(self, roots: Mapping[CID, bool]) -> list[PinnedRoot]:
        """Record those that need no walk together: complete already, or one block that is here; these alone.

        True of a CID: with all that is below it. Raises as the files of roots and of blocks do.
        """
        with self._walking(*roots) as walking:
            begun = await self._begin(roots, _carried(roots))
            rest = [root for root in begun if not root.complete]
            stats = await self._blocks.store.stat([root.cid for root in rest]) if rest else []
            single = [
                PinnedRoot(root.cid, True, root.recursive, 1, stat.size)
                for root, stat in zip(rest, stats, strict=True)
                if stat is not None and not (root.recursive and stat.links)
            ]
            recorded = await self._completed(single, walking) if single else []
        whole = {root.cid: root for root in [*begun, *recorded] if root.complete}
        return [whole[cid] for cid in roots if cid in whole]

    async def unpin(self, *cids: CID) -> None:
        """Forget the roots; missing ones are fine. Blocks stay until garbage is collected."""
        for cid in cids:
            self._walks.pop(cid, None)
        with self._roots.changing() as change:
            change.by = -await self._database.free(pinned_roots.forget, cids)

    async def count(self) -> int:
        """Of the roots, complete or not."""
        return await self._roots.total()

    async def doubt(self, cid: CID) -> None:
        """A block of the root was lost: it is incomplete until it was walked again."""
        await self._database.write(pinned_roots.doubt, cid)

    async def lost(self) -> None:
        """Some blocks were lost: roots that are being walked may lack one that was visited already."""
        self._losses += 1
        await self._checkpoints.forget_all()

    async def renew(self) -> None:
        """To be called before garbage is removed: see `completing.py`."""
        await self._completing.renew()

    async def get(self, cid: CID) -> PinnedRoot | None:
        (root,) = await self.get_many([cid])
        return root

    async def get_many(self, cids: Sequence[CID]) -> list[PinnedRoot | None]:
        """In order."""
        return await self._database.read(pinned_roots.find, cids)

    async def pinned(self, after: CID | None = None) -> AsyncIterator[PinnedRoot]:
        """Every root in key order (bytes of the CID) behind `after`, read in pages."""
        last = b"" if after is None else bytes(after)
        while page := await self._database.read(pinned_roots.behind, last):
            for root in page:
                yield root
            last = bytes(page[-1].cid)

    async def within(self, after: bytes, until: bytes, limit: int) -> RootColumns:
        """The roots behind `after` up to `until`, at most `limit`, in one trip."""
        return await self._database.read(pinned_roots.within, after, until, limit)

    async def _begin(
        self, roots: Mapping[CID, bool], whole: Mapping[CID, PinnedRoot] = NO_ROOTS
    ) -> list[PinnedRoot]:
        with self._roots.changing() as change:
            begun = await self._database.write(pinned_roots.begin, roots, whole)
            change.by = begun.more
        return begun.roots

    async def _walk(
        self,
        root: PinnedRoot,
        hints: Sequence[str],
        progress: Progress,
        walking: Callable[[CID], bool],
        max_size: int,
    ) -> PinnedRoot:
        """Walked again where blocks were lost meanwhile."""
        while True:
            losses = self._losses
            walk = await self._begun(root, hints)
            await self._walk_once(root, walk, progress, walking, max_size)
            if losses == self._losses:
                break
        whole = root._replace(complete=True, blocks=walk.visited, bytes=walk.bytes)
        for recorded in await self._completed([whole], walking):
            return recorded
        raise PinWithdrawn(root.cid)

    async def _begun(self, root: PinnedRoot, hints: Sequence[str]) -> DagWalk:
        """From where an earlier walk was, if that is known."""
        session = self._blocks.session(root.cid, hints)
        state = await self._checkpoints.find(root.cid) if root.recursive else None
        return DagWalk(session, root.cid, recursive=root.recursive, state=state)

    async def _walk_once(
        self,
        root: PinnedRoot,
        walk: DagWalk,
        progress: Progress,
        walking: Callable[[CID], bool],
        max_size: int,
    ) -> None:
        """Raises PinWithdrawn, AboveMaxSize."""
        store = self._blocks.store
        with self._reserving() as reservation:
            is_new = root.recursive and bool(await store.missing([root.cid]))
            checkpoint = self._checkpoints.of(root.cid, walk)
            one = RootWalk(root.cid, walk, checkpoint, reservation, is_new=is_new, max_size=max_size)
            await one.run(progress, walking)

    async def _completed(
        self, roots: Sequence[PinnedRoot], counts: Callable[[CID], bool]
    ) -> Sequence[PinnedRoot]:
        recorded = await self._completing.complete(roots, counts)
        for handler in tuple(self._complete_handlers):
            handler([root.cid for root in recorded])
        return recorded

    @contextmanager
    def _walking(self, *cids: CID) -> Generator[Callable[[CID], bool]]:
        """Whether a walk still counts: not once its root was unpinned, though it be pinned again since."""
        token = object()
        for cid in cids:
            self._walks.setdefault(cid, set()).add(token)
        try:
            yield lambda cid: token in self._walks.get(cid, ())
        finally:
            for cid in cids:
                self._end(cid, token)

    def _end(self, cid: CID, token: object) -> None:
        tokens = self._walks.get(cid, set())
        tokens.discard(token)
        if not tokens:
            self._walks.pop(cid, None)
