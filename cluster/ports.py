"""Every seam of the cluster on one page: what it asks of the world, and what the world may ask of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Container, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Concatenate, NamedTuple, ParamSpec, Protocol, TypeVar

from blockstore.cid import CID
from cluster.pin import KeyRange, Progress

T = TypeVar("T")
P = ParamSpec("P")
Connection = TypeVar("Connection", covariant=True)

MAX_GOSSIP = 512 * 1024
"""Bytes of one gossip message."""

MAX_CALL = 4 * 1024 * 1024
"""Bytes of a request, and of a response."""


@dataclass(frozen=True, slots=True)
class GossipMessage:
    """One message of a topic, at most 512 KiB.

    `author` wrote it and is accountable for it; `forwarder` handed it on to us, so it was connected just now
    and has seen what the message says. The two are often the same peer.
    """

    author: str
    forwarder: str
    data: bytes


GossipHandler = Callable[[GossipMessage], Awaitable[None]]
"""Messages may be lost, repeated or out of order; the author's word is all that they are worth.

An exception concerns that message only: the next one comes.
"""

CallHandler = Callable[[str, bytes], Awaitable[bytes]]
"""(calling peer, request) -> response. An exception reaches the caller as CallFailed with its text."""

ProgressHandler = Callable[[Progress], None]


class CallFailed(Exception):
    """The peer answered that the call failed; the text is its reason."""


def no_method(method: str) -> str:
    """The reason of CallFailed where a peer does not serve that method: one of an older release, say."""
    return f'no method "{method}" here'


class PeerOffline(Exception):
    """The peer could not be reached, or did not answer in time."""


class HandlerTaken(Exception):
    """That topic or method has a handler already: each has one, for as long as the network is open."""

    def __init__(self, name: str) -> None:
        super().__init__(f'"{name}" has a handler already')


def claim(name: str, taken: Container[str]) -> None:
    """What every Gossip and PeerCalls checks of a name that is to get a handler. Raises HandlerTaken."""
    if name in taken:
        raise HandlerTaken(name)


def check_gossip(message: bytes) -> None:
    """What every Gossip checks. Raises ValueError above MAX_GOSSIP."""
    if len(message) > MAX_GOSSIP:
        raise ValueError(f"a gossip message of {len(message)} bytes; the limit is {MAX_GOSSIP}")


def check_request(method: str, request: bytes) -> None:
    """What every PeerCalls checks. Raises ValueError above MAX_CALL."""
    if len(request) > MAX_CALL:
        raise ValueError(f"{method}: a request of {len(request)} bytes; the limit is {MAX_CALL}")


class Gossip(Protocol):
    """Messages to every member, best effort."""

    async def publish(self, topic: str, message: bytes) -> None:
        """Never waits for a peer to handle it. Raises ValueError above MAX_GOSSIP."""
        ...

    def subscribe(self, topic: str, handler: GossipHandler) -> None:
        """Hear what others publish on this topic, one message after the other; never our own.

        Raises HandlerTaken for a topic that was subscribed to before.
        """
        ...


class PeerCalls(Protocol):
    """Request and response between two members."""

    async def call(self, peer: str, method: str, request: bytes, timeout: float = 15.0) -> bytes:
        """The response, within `timeout` seconds.

        Raises CallFailed (it failed there, is not served there, or its response is above MAX_CALL),
        PeerOffline, and ValueError for a request above MAX_CALL.
        """
        ...

    def serve(self, method: str, handler: CallHandler) -> None:
        """Answer this method; calls are handled side by side. Raises HandlerTaken."""
        ...

    def peers(self) -> frozenset[str]:
        """Who is connected on the cluster's network now, members or not."""
        ...

    def on_peer_change(self, handler: Callable[[str, bool], None]) -> None:
        """Hear of each connect and disconnect, (peer, connected), from now on. Must not block."""
        ...

    def addresses(self, peer: str) -> Sequence[str]:
        """Known multiaddresses of that peer, `/p2p/` included; our own for our own id."""
        ...

    async def connect(self, address: str) -> str:
        """Dial a multiaddress with `/p2p/` and keep it connected; its peer id. Raises PeerOffline."""
        ...


class Links(Protocol):
    """Who stays connected on the cluster's network."""

    def keep_connected(self, wanted: Mapping[str, Sequence[str]]) -> None:
        """Stay connected to these peers (id -> multiaddresses), and no more to others of the call before.

        One that is not connected is dialled, with growing pauses, at these addresses and where it was seen
        before; only a peer that proves its id counts. What cannot be dialled is passed over. Returns at once.
        """
        ...


class ClusterNetwork(Gossip, PeerCalls, Links, Protocol):
    """The members' own network, whole."""


class DatabaseView(Protocol[Connection]):
    """A file of tables as it was at one moment, whatever is written meanwhile."""

    async def read(
        self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `work(connection, ...)`, one after the other."""
        ...


class Database(Protocol[Connection]):
    """One file of tables: transactions, and reads beside them. Each call is one trip to it."""

    async def write(
        self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `work(connection, ...)` in one transaction; durable when it returns."""
        ...

    async def free(
        self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """As `write`, of what gives room back: on a full disk it may take the last of it."""
        ...

    async def read(
        self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `work(connection, ...)`, which sees the last commit."""
        ...

    def view(self) -> AbstractAsyncContextManager[DatabaseView[Connection]]:
        """The last commit, for the length of the block; keep it short: meanwhile the file only grows."""
        ...


class Signer(Protocol):
    """This node's key."""

    @property
    def peer_id(self) -> str: ...

    def sign(self, data: bytes) -> bytes: ...

    def verify(self, peer: str, data: bytes, signature: bytes) -> bool:
        """Whether that peer's key made the signature (Ed25519 keys are in the peer id itself)."""
        ...


class LocalPin(NamedTuple):
    """A root in this node's own store, alone or with all below it. Incomplete until its walk has ended.

    `blocks` and `bytes` are those of a complete one.
    """

    cid: CID
    complete: bool
    blocks: int = 0
    bytes: int = 0
    recursive: bool = True

    def has(self, recursive: bool) -> bool:
        """Whether all of that is here: of a DAG (recursive), or the block alone."""
        return self.complete and (self.recursive or not recursive)


@dataclass(frozen=True, slots=True)
class LocalRoots:
    """Local pins of a key range in order, as columns. They are all there are up to `until`."""

    cids: Sequence[bytes]
    recursive: Sequence[int]  # 0 or 1, like the next
    complete: Sequence[int]
    blocks: Sequence[int]
    sizes: Sequence[int]  # bytes
    until: bytes


class PinFailed(Exception):
    """A walk that did not end; the text is the plain reason for the user."""


class PinTooLarge(PinFailed):
    """The DAG is above the greatest size of its pin."""


class LocalPins(Protocol):
    """What the cluster requires of the local store."""

    async def pin(
        self,
        cid: CID,
        *,
        recursive: bool,
        hints: Sequence[str],
        progress: ProgressHandler,
        max_size: int = 0,
    ) -> LocalPin:
        """Walk, fetch, record; `progress` hears of each block. A complete pin returns at once.

        `max_size`: bytes of the DAG, 0 = any number. Raises PinTooLarge for a larger one, by what its root
        says before more of it is fetched; PinFailed, also when `unpin` came in between. A failed or cancelled
        walk leaves the root incomplete and keeps what was fetched: the next one fetches only the rest.
        """
        ...

    async def pin_here(self, roots: Mapping[CID, bool]) -> Mapping[CID, LocalPin]:
        """Record those that need no walk, all together: complete already, or one block that is here.

        True of a CID: with all that is below it. The others are missing in the answer, at most begun. Raises
        PinFailed when the store refuses: then none is answered for.
        """
        ...

    async def unpin(self, cid: CID) -> None:
        """Forget the root; a missing one is fine. Blocks stay until garbage is collected.

        Raises PinFailed when the store refuses.
        """
        ...

    async def unpin_many(self, cids: Sequence[CID]) -> None:
        """`unpin` of each, all or none."""
        ...

    async def get(self, cid: CID) -> LocalPin | None:
        """Raises PinFailed when the store cannot be read."""
        ...

    async def get_many(self, cids: Sequence[CID]) -> list[LocalPin | None]:
        """In order of `cids`. Raises PinFailed as `get`."""
        ...

    def pinned(self, after: CID | None = None) -> AsyncIterator[LocalPin]:
        """Every root in key order (bytes of the CID), read in pages. Raises PinFailed as `get`."""
        ...

    async def within(self, keys: KeyRange, limit: int) -> LocalRoots:
        """The roots of the range, at most `limit` of them, in one trip. Raises PinFailed as `get`."""
        ...


class OperationKind(StrEnum):
    """What a member does about a CID in its own store."""

    PIN = "pin"
    UNPIN = "unpin"


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of the attempts so far at one CID, none of which succeeded. Times in seconds since 1970.

    `retry_at` is None where no other follows by itself.
    """

    cid: CID
    kind: OperationKind
    count: int
    error: str
    failed_at: float
    retry_at: float | None


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

    async def remove_many(self, cids: Sequence[CID]) -> None:
        """`remove` of each, together."""
        ...

    async def claim(self, now: float, horizon: float, until: float, limit: int) -> list[Attempt]:
        """Those to be retried at `now` or before, soonest first, and move them to `until` in the same step.

        They are given as they were; what two callers claim at once is shared out between them.
        A retry further away than `horizon` counts as due: the clock was set back since.
        """
        ...

    async def next_retry(self) -> float | None: ...

    async def count(self, kind: OperationKind) -> int:
        """How many there are of that kind."""
        ...

    async def page(self, after: CID | None, limit: int) -> list[Attempt]:
        """In order of the CID's bytes, behind `after`."""
        ...

    async def within(self, keys: KeyRange, limit: int) -> list[Attempt]:
        """Those of the range in that order, at most `limit` of them."""
        ...


@dataclass(frozen=True, slots=True)
class Capacity:
    """Room for blocks on this machine, in bytes."""

    free: int
    used: int
    quota: int  # 0 = no limit


CapacityInformer = Callable[[], Awaitable[Capacity]]
