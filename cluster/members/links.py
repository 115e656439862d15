"""Has the network keep every member connected where it says it is, whenever the list changes."""

from __future__ import annotations

from collections.abc import Sequence

from cluster.members.member_list import MemberList
from cluster.ports import Links


class MemberLinks:
    """The network dials, and checks that the peer that answers is the one meant."""

    def __init__(self, peer: str, members: MemberList, links: Links) -> None:
        self._peer = peer
        self._members = members
        self._links = links
        members.on_records(self._update)
        self._update(())

    def _update(self, _records: Sequence[bytes]) -> None:
        """Members; none once we are no member any more: none of them would speak with us."""
        if self._peer in self._members.removed():
            self._links.keep_connected({})
            return
        others = (member for member in self._members.members() if member.peer != self._peer)
        self._links.keep_connected({member.peer: member.addresses for member in others})
