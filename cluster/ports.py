"""Every seam of the cluster on one page: what it asks of the world, and what the world may ask of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from blockstore.cid import CID
from cluster.pin import Progress

GossipHandler = Callable[[str, bytes], Awaitable[None]]
"""(peer it came from, message). May be lost, repeated or out of order; never trusted by itself."""

CallHandler = Callable[[str, bytes], Awaitable[bytes]]
"""(calling peer, request) -> response. An exception reaches the caller as CallFailed with its text."""

ProgressHandler = Callable[[Progress], None]


class CallFailed(Exception):
    """The peer answered that the call failed; the text is its reason."""


class PeerOffline(Exception):
    """The peer could not be reached, or did not answer in time."""


class Gossip(Protocol):
    """Messages to every member, best effort, at most 512 KiB each."""

    async def publish(self, topic: str, message: bytes) -> None: ...

    def subscribe(self, topic: str, handler: GossipHandler) -> None: ...


class PeerCalls(Protocol):
    """Request and response between two members, at most 4 MiB each way."""

    async def call(self, peer: str, method: str, request: bytes, timeout: float = 15.0) -> bytes:
        """Raises CallFailed, PeerOffline."""
        ...

    def serve(self, method: str, handler: CallHandler) -> None: ...

    def peers(self) -> frozenset[str]:
        """Who is connected on the cluster's network now, members or not."""
        ...

    def on_peer_change(self, handler: Callable[[str, bool], None]) -> None: ...

    def addresses(self, peer: str) -> Sequence[str]:
        """Known multiaddresses of that peer, `/p2p/` included; our own for our own id."""
        ...

    async def connect(self, address: str) -> str:
        """Dial a multiaddress with `/p2p/` and keep it connected; its peer id. Raises PeerOffline."""
        ...


class Signer(Protocol):
    """This node's key."""

    @property
    def peer_id(self) -> str: ...

    def sign(self, data: bytes) -> bytes: ...

    def verify(self, peer: str, data: bytes, signature: bytes) -> bool:
        """Whether that peer's key made the signature (Ed25519 keys are in the peer id itself)."""
        ...


@dataclass(frozen=True, slots=True)
class LocalPin:
    """A root in this node's own store, alone or with all below it. Incomplete until its walk has ended."""

    cid: CID
    complete: bool
    blocks: int = 0
    bytes: int = 0
    recursive: bool = True

    def has(self, recursive: bool) -> bool:
        """Whether all of that is here: of a DAG (recursive), or the block alone."""
        return self.complete and (self.recursive or not recursive)


class PinFailed(Exception):
    """A walk that did not end; the text is the plain reason for the user."""


class LocalPins(Protocol):
    """The cluster's only wish to the local store."""

    async def pin(
        self, cid: CID, *, recursive: bool, hints: Sequence[str], progress: ProgressHandler
    ) -> LocalPin:
        """Walk, fetch, record. Resumes where an earlier walk stopped; a complete pin returns at once.

        Raises PinFailed. Cancelling keeps what was fetched.
        """
        ...

    async def unpin(self, cid: CID) -> None:
        """Forget the root; a missing one is fine. Blocks stay until garbage is collected.

        Raises PinFailed when the store refuses.
        """
        ...

    async def get(self, cid: CID) -> LocalPin | None:
        """Raises PinFailed when the store cannot be read."""
        ...

    def pinned(self, after: CID | None = None) -> AsyncIterator[LocalPin]:
        """Every root in key order (bytes of the CID), read in pages. Raises PinFailed as `get`."""
        ...


class OperationKind(StrEnum):
    """What a member does about a CID in its own store."""

    PIN = "pin"
    UNPIN = "unpin"


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of the attempts so far at one CID, none of which succeeded. Times in seconds since 1970."""

    cid: CID
    kind: OperationKind
    count: int
    error: str
    failed_at: float
    retry_at: float


class AttemptStore(Protocol):
    """Failures outlive a restart, so that a hopeless CID does not start afresh each time."""

    async def get_many(self, cids: Sequence[CID]) -> list[Attempt | None]:
        """In order of `cids`."""
        ...

    async def put(self, attempt: Attempt) -> None:
        """In place of the one before."""
        ...

    async def remove(self, cid: CID) -> None:
        """A missing one is fine."""
        ...

    async def claim(self, now: float, horizon: float, until: float, limit: int) -> list[Attempt]:
        """Those to be retried at `now` or before, soonest first, and move them to `until` in the same step.

        A retry further away than `horizon` counts as due: the clock was set back since.
        """
        ...

    async def next_retry(self) -> float | None: ...

    async def page(self, after: CID | None, limit: int) -> list[Attempt]:
        """In order of the CID's bytes, behind `after`."""
        ...


@dataclass(frozen=True, slots=True)
class Capacity:
    """Room for blocks on this machine, in bytes."""

    free: int
    used: int
    quota: int  # 0 = no limit


CapacityInformer = Callable[[], Awaitable[Capacity]]
