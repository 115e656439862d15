"""Records asked of members: of a few, whoever else there is."""

from support.ipns import Key
from support.memory_members import MemoryMembers

from blockstore.common.guard import Guard
from cluster.common.methods import NAMES_GET
from cluster.ports import PeerOffline
from node.names.member_routing import MemberRouting
from node.offline_network import NoNetwork


class Calls(NoNetwork):
    """Many members, none of which answers."""

    def __init__(self) -> None:
        super().__init__()
        self.called: list[tuple[str, str, bytes]] = []

    def peers(self) -> frozenset[str]:
        return frozenset(f"peer {number:03}" for number in range(100))

    async def call(self, peer: str, method: str, request: bytes, timeout: float = 15.0) -> bytes:
        self.called.append((peer, method, request))
        raise PeerOffline(peer)


async def test_a_few_members_are_asked_and_none_need_answer() -> None:
    calls, name = Calls(), Key(1).name
    assert await MemberRouting(calls, MemoryMembers([]), lambda: 0.0, Guard()).find(name) == []
    assert calls.called == [(f"peer {number:03}", NAMES_GET.name, name.multihash) for number in range(8)]
