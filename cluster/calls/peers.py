"""The members as they describe themselves when they are asked; this node dialling one, or taking one off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable

from cluster.calls.client import MemberClient
from cluster.calls.node_info import ConnectGraph, IpfsInfo, NodeInfo
from cluster.common.address import Address
from cluster.context import ClusterContext
from cluster.errors import BadAddress, CannotRemove, UnknownMember, UntrustedPeer
from cluster.interfaces import Member, Role
from cluster.ports import CallFailed, PeerOffline


class Peers:
    """`ipfs` describes this node on the open network, read afresh: addresses come and go."""

    def __init__(
        self, context: ClusterContext, remote: MemberClient, version: str, ipfs: Callable[[], IpfsInfo]
    ) -> None:
        self._context = context
        self._remote = remote
        self._version = version
        self._ipfs = ipfs

    def us(self) -> NodeInfo:
        """This node."""
        members, calls = self._context.members, self._context.calls
        others = self._others()
        addresses = [calls.addresses(one.peer) or one.addresses for one in others]
        return NodeInfo(
            id=self._context.peer,
            peer_name=self._context.name,
            addresses=tuple(calls.addresses(self._context.peer)),
            cluster_peers=tuple(sorted({self._context.peer} | members.peers())),
            cluster_peer_addresses=tuple(address for known in addresses for address in known),
            connected=tuple(sorted(calls.peers() & {member.peer for member in others})),
            version=self._version,
            ipfs=self._ipfs(),
        )

    async def all(self) -> AsyncIterator[NodeInfo]:
        """Every member, as they answer; one that cannot be reached has `error` set."""
        asked = [asyncio.create_task(self.one(peer)) for peer in self._context.members.peers()]
        try:
            for answer in asyncio.as_completed(asked):
                yield await answer
        finally:
            for task in asked:
                task.cancel()

    async def one(self, peer: str) -> NodeInfo:
        """One peer, member or not; `error` is set when it cannot be reached."""
        if peer == self._context.peer:
            return self.us()
        try:
            return await self._remote.describe(peer)
        except (CallFailed, PeerOffline) as error:
            member = self._member(peer)
            return NodeInfo(peer, member.name if member else "", error=str(error) or "did not answer")

    async def graph(self) -> ConnectGraph:
        """Asks every member; links of one that does not answer are those that others report."""
        nodes = sorted([node async for node in self.all()], key=lambda node: node.id)
        answered = [node for node in nodes if not node.error]
        return ConnectGraph(
            peer=self._context.peer,
            names={node.id: node.peer_name for node in nodes},
            cluster_links={node.id: node.connected for node in answered},
            trusted={node.id: self._context.members.is_trusted(node.id) for node in nodes},
            ipfs_ids={node.id: node.ipfs.id for node in answered if node.ipfs.id},
            ipfs_links=_ipfs_links(answered),
        )

    async def connect(self, address: str) -> Member:
        """Dial a member where it is now, and keep it connected: it then learns where all others are.

        Raises BadAddress, UntrustedPeer for one that is no member, PeerOffline.
        """
        peer = Address.parse(address).peer
        if peer is None or peer == self._context.peer:
            raise BadAddress(f'"{address}" must end in /p2p/ and the peer id of another member')
        self._check_known(peer)
        await self._context.calls.connect(address)
        return self._member(peer) or Member(peer, "", Role.FOLLOWER)

    async def remove(self, name: str) -> Member:
        """Take a member, by peer id or by a name that only one has, off the list; which one that was.

        Its pins are placed anew, and it stays out until it is invited again. Raises UnknownMember,
        ReadOnlyMember, CannotRemove.
        """
        member = self.find(name)
        if member.peer == self._context.peer:
            raise CannotRemove(f"{name!r} is this node itself: remove it at another member")
        await self._context.members.remove(member.peer)
        return member

    def find(self, name: str) -> Member:
        """The member of that peer id, or of a name that only one has. Raises UnknownMember."""
        return self._member(name) or self._named(name)

    def _check_known(self, peer: str) -> None:
        """Alone on its list, as after an old backup, a node takes any member's word for itself."""
        if self._others() and not self._context.members.is_member(peer):
            raise UntrustedPeer(
                f"{peer} is not a member of this cluster: to let it in, `pinfold cluster invite` here, and"
                " `pinfold init --join TOKEN` there"
            )

    def _others(self) -> list[Member]:
        return [one for one in self._context.members.members() if one.peer != self._context.peer]

    def _member(self, peer: str) -> Member | None:
        members = self._context.members
        role = members.role(peer)
        return Member(peer, members.name(peer), role) if role is not None else None

    def _named(self, name: str) -> Member:
        found = [member for member in self._context.members.members() if member.name == name]
        if len(found) > 1:
            peers = ", ".join(member.peer for member in found)
            raise UnknownMember(f"{len(found)} members are named {name!r}: say which by its peer id: {peers}")
        if not found:
            raise UnknownMember(f"no member of this cluster is {name!r}: `pinfold peers` lists them")
        return found[0]


def _ipfs_links(nodes: Iterable[NodeInfo]) -> dict[str, tuple[str, ...]]:
    known = frozenset(node.ipfs.id for node in nodes if node.ipfs.id)
    return {node.ipfs.id: tuple(sorted(node.ipfs.peers & known)) for node in nodes if node.ipfs.id}
