"""What can go wrong when deciding who holds what."""

from __future__ import annotations


class ClusterError(Exception):
    """Every error of this package."""


class NotPinned(ClusterError):
    """The CID is not in the pinset. The text is the one that ipfs-cluster's clients compare with."""

    def __init__(self) -> None:
        super().__init__("pin is not part of the pinset")


class NotOwned(ClusterError):
    """A pin that is kept, and not for who wanted to let go of it."""

    def __init__(self, cid: object, owner: str) -> None:
        whose = f'"{owner}"' if owner else "the cluster itself"
        super().__init__(f"{cid} is pinned, and not for {whose}: nothing was changed")


class BadPinOptions(ClusterError, ValueError):
    """Options that contradict each other or the pin as it stands."""


class BadPinValue(BadPinOptions):
    """An option that no pin can have."""


class BadReplication(BadPinValue):
    """A minimum and a maximum of copies that contradict each other."""


class NotEnoughPeers(ClusterError):
    """Fewer members can take the pin than its minimum asks for."""

    def __init__(self, needed: int, wanted: int, available: int, reason: str = "") -> None:
        super().__init__(
            f"not enough peers to allocate CID. Needed at least: {needed}. Wanted at most: {wanted}. "
            f"Available candidates: {available}." + (f" {reason}" if reason else "")
        )


class ReadOnlyMember(ClusterError):
    """This node follows the cluster: it holds blocks, and may not change the pinset."""


class UntrustedPeer(ClusterError):
    """A peer that may not do what it asked."""


class BadInvite(ClusterError, ValueError):
    """A join token that is damaged, used up, expired, or of another cluster."""


class BadAddress(ClusterError, ValueError):
    """A multiaddress at which no peer can be reached, or text that is none."""


class UnknownMember(ClusterError):
    """No member, or more than one, is meant by that."""


class CannotRemove(ClusterError):
    """A member that is this node itself, or the last one that may change anything."""


class CannotDrain(ClusterError):
    """A member whose pins no other one could hold."""


class RebalanceRuns(ClusterError):
    """Another one is under way here."""


class BadUpdate(ClusterError):
    """A change from another member that breaks the rules: dropped and counted, never applied."""


class BadCursor(ClusterError, ValueError):
    """A place in a listing that no page gave, or one of another query."""


class NotReady(ClusterError):
    """What is asked for needs rows that are still being brought forward from an earlier release."""


class LaterRelease(ClusterError):
    """The pinset was written by a later release, in tables that are not known here."""


class SnapshotUnavailable(ClusterError):
    """This member cannot give its documents now: ask another one."""


class DamagedDocument(ClusterError):
    """A part of this node's own pinset cannot be read from its disk."""

    def __init__(self, number: int) -> None:
        super().__init__(
            f"document {number} of the pinset cannot be read, cluster.db is damaged: it is made again from"
            " another member as soon as a trusted one is connected; try again then"
        )
        self.number = number


class MemberQuotaReached(ClusterError):
    """This member may not hold more pins: `cluster.member_pins`, `cluster.member_mib`."""


class QueueFull(ClusterError):
    """More work is waiting than this node agreed to hold."""
