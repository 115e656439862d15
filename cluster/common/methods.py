"""Every call that members answer each other, and who may make it: the guard stands before each of them.

| method | request | answer | who may call |
|---|---|---|---|
| node/id | – | NodeInfo | members |
| pins/holds | cid, recursive | whether the block, or all of the DAG, is here | members |
| pins/status | cid | PinInfo | members |
| pins/status-of | cids | PinInfo of each | members |
| pins/statuses | wanted statuses, after, limit | StatusPage | members |
| pins/columns | wanted statuses, key range, limit | StatusColumns of the range | members |
| pins/lease | cids, which of them recursive | whether each is here, and stays for 30 s | members |
| pins/recover | cid | PinInfo after the retry | trusted members |
| pins/recover-all | after, limit | StatusPage of what is tried again | trusted members |
| store/gc | – | Collected: what this node's collector removed | trusted members |
| pinset/heads | opening of the store, arrival | heads of the logs, digests | members |
| pinset/batches | logs and ranges | signed batches | members |
| pinset/sums | level of the Merkle tree, range | sums | members |
| pinset/forks | a log | the two batches that prove its fork | members |
| pinset/snapshot | range of documents, arrival | documents as they are stored, logs that moved | members |
| pinset/members | member records | ours, or what says that the caller was removed | anyone |
| pinset/join | grant of an invitation, records | member records | anyone |
| names/get | multihash of an IPNS name | its record; the name signs it | members |
| names/put | such a name, a record that was published | – | trusted members |
| names/list | a name, or none | names behind it that were published, how new their records are | members |

What anyone may call proves itself by signatures: it is how a peer becomes a member, or hears that it is none
any more (docs/decisions/0006-membership.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from cluster.errors import UntrustedPeer
from cluster.interfaces import Membership
from cluster.ports import CallHandler, PeerCalls


class Access(Enum):
    ANYONE = "anyone"
    MEMBER = "members"
    TRUSTED = "trusted members"


@dataclass(frozen=True, slots=True)
class Method:
    name: str
    access: Access


ID = Method("node/id", Access.MEMBER)
HOLDS = Method("pins/holds", Access.MEMBER)
STATUS = Method("pins/status", Access.MEMBER)
STATUS_OF = Method("pins/status-of", Access.MEMBER)
STATUSES = Method("pins/statuses", Access.MEMBER)
COLUMNS = Method("pins/columns", Access.MEMBER)
LEASE = Method("pins/lease", Access.MEMBER)
RECOVER = Method("pins/recover", Access.TRUSTED)
RECOVER_ALL = Method("pins/recover-all", Access.TRUSTED)
COLLECT = Method("store/gc", Access.TRUSTED)
HEADS = Method("pinset/heads", Access.MEMBER)
BATCHES = Method("pinset/batches", Access.MEMBER)
DIGESTS = Method("pinset/sums", Access.MEMBER)
FORKS = Method("pinset/forks", Access.MEMBER)
SNAPSHOT = Method("pinset/snapshot", Access.MEMBER)
MEMBERS = Method("pinset/members", Access.ANYONE)
JOIN = Method("pinset/join", Access.ANYONE)
NAMES_GET = Method("names/get", Access.MEMBER)
NAMES_PUT = Method("names/put", Access.TRUSTED)
NAMES_LIST = Method("names/list", Access.MEMBER)

METHODS = (
    ID,
    HOLDS,
    STATUS,
    STATUS_OF,
    STATUSES,
    COLUMNS,
    LEASE,
    RECOVER,
    RECOVER_ALL,
    COLLECT,
    HEADS,
    BATCHES,
    DIGESTS,
    FORKS,
    SNAPSHOT,
    MEMBERS,
    JOIN,
    NAMES_GET,
    NAMES_PUT,
    NAMES_LIST,
)


def serve(calls: PeerCalls, members: Membership, method: Method, handler: CallHandler) -> None:
    """Answer this method to those that may call it; others get UntrustedPeer. Raises HandlerTaken."""
    calls.serve(method.name, guarded(method, members, handler))


def guarded(method: Method, members: Membership, handler: CallHandler) -> CallHandler:
    """The handler behind the table's rule of access."""

    async def handle(peer: str, request: bytes) -> bytes:
        if not _may_call(peer, method.access, members):
            raise UntrustedPeer(
                f"{method.name} is for {method.access.value} of this cluster; {peer} is not one"
            )
        return await handler(peer, request)

    return handle


def _may_call(peer: str, access: Access, members: Membership) -> bool:
    if access is Access.MEMBER:
        return members.is_member(peer)
    return access is Access.ANYONE or members.is_trusted(peer)
