"""What can go wrong with bytes. Callers decide by class; the text is for people."""

from __future__ import annotations

from blockstore.common.size_text import size_text
from blockstore.fetch_report import FetchReport, summary


class BlockstoreError(Exception):
    """Every error of this package."""


class BadCid(BlockstoreError, ValueError):
    """Text or bytes that are not a CID we can read."""


class BadPath(BlockstoreError, ValueError):
    """A content path that does not parse."""


class BadBlock(BlockstoreError, ValueError):
    """A block whose bytes do not decode as its codec says."""


class BadCar(BlockstoreError, ValueError):
    """A CAR that breaks the format: nothing of it was kept."""


class BadImportOption(BlockstoreError, ValueError):
    """Import settings that contradict each other or that do not exist."""


class BadEntry(BlockstoreError, ValueError):
    """Something to import that has no place in the tree: a bad name, the same path twice, a socket."""


class UnreadableFile(BlockstoreError):
    """A local file or folder that could not be read, or vanished while it was being added."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f'cannot read "{path}": {reason}')
        self.path = path
        self.reason = reason


class HashMismatch(BlockstoreError):
    """Bytes that do not hash to the CID they came under."""

    def __init__(self, cid: object, source: str = "") -> None:
        super().__init__(f"block {cid} does not match its hash" + (f" (from {source})" if source else ""))


class UnknownHash(BlockstoreError):
    """A multihash function that this program cannot compute, so cannot verify."""


class UnknownCodec(BlockstoreError):
    """A codec whose links this program cannot read."""


class BlockNotFound(BlockstoreError):
    """The block is not here, and no source that was asked has it; `reason` says what was tried.

    `reports` are what the reason is made of, where others were asked.
    """

    def __init__(
        self, cid: object, reason: str = "not in the local store", reports: tuple[FetchReport, ...] = ()
    ) -> None:
        super().__init__(f"block {cid} not found: {reason}")
        self.cid = cid
        self.reason = reason
        self.reports = reports

    @classmethod
    def after(cls, cid: object, *reports: FetchReport) -> BlockNotFound:
        """The error when these were tried: BlockUnavailable unless all who were asked do not have it."""
        kind = cls if all(report.decided for report in reports) else BlockUnavailable
        return kind(cid, summary(reports), reports)


class BlockUnavailable(BlockNotFound):
    """Whether the block can be had is not known: a source that was asked could not say, or did not."""


class NoLink(BlockstoreError):
    """A path segment that the node at that point does not have."""

    def __init__(self, name: str, cid: object) -> None:
        super().__init__(f'no link named "{name}" under {cid}')
        self.name = name
        self.cid = cid


class NotUnixFS(BlockstoreError):
    """A node that is not the file or directory the caller asked for."""


class BlockTooLarge(BlockstoreError):
    """A block above the size that peers exchange (2 MiB)."""


class StorageFull(BlockstoreError, OSError):
    """The write was refused and nothing of it was kept: quota reached, or disk full."""


def quota_reached(used: int, new: int, quota: int) -> StorageFull:
    """The error of a write that the quota forbids; all in bytes."""
    return StorageFull(
        f"storage quota reached: {size_text(used)} of {size_text(quota)} used, and {size_text(new)} more "
        "do not fit; unpin something and collect garbage, or raise the quota"
    )


class StoreLocked(BlockstoreError):
    """Another process holds this data folder."""


class StoreCorrupt(BlockstoreError):
    """The database file cannot be read as one of ours."""


class StoreUnavailable(BlockstoreError):
    """The database file cannot be opened, read or written: no folder, no right, or a failing disk."""


class PinWithdrawn(BlockstoreError):
    """The root was unpinned while its blocks were being fetched."""

    def __init__(self, cid: object) -> None:
        super().__init__(f"{cid} was unpinned while it was being fetched")


class DagTooLarge(BlockstoreError):
    """A DAG deeper or wider than a walk will follow."""


class AboveMaxSize(BlockstoreError):
    """A DAG above the greatest size that was allowed of it. `known` is how much that is, and by what."""

    def __init__(self, limit: int, known: str) -> None:
        super().__init__(f"larger than its limit of {limit} bytes: {known}")


class LinksUnknown(BlockstoreError):
    """Garbage is not known from what pins need: the links of a block on the way could not be followed."""


class CollectorBusy(BlockstoreError):
    """Garbage is being collected already."""

    def __init__(self) -> None:
        super().__init__("garbage is being collected already; try again when that has ended")
