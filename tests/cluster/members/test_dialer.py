"""Members that nobody introduced to each other find each other by the member list."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from support.clock import virtual_time

from blockstore.common.guard import Guard
from cluster.interfaces import Member, Role
from cluster.members.dialer import ALONE_AFTER, LOOK_INTERVAL, MemberDialer
from cluster.ports import CallHandler, PeerOffline


@dataclass
class Street:
    """PeerCalls of a peer that can dial whoever is at home; `dials` has the time of each attempt."""

    home: set[str]
    connected: set[str] = field(default_factory=set)
    odd: set[str] = field(default_factory=set)  # addresses that meet a bug
    dials: list[tuple[float, str]] = field(default_factory=list)

    async def call(self, peer: str, method: str, request: bytes, timeout: float = 15.0) -> bytes:
        raise PeerOffline(f"{peer} is not asked in these tests")

    def serve(self, method: str, handler: CallHandler) -> None:
        raise AssertionError(f"{method}: nobody calls in these tests")

    def peers(self) -> frozenset[str]:
        return frozenset(self.connected)

    def on_peer_change(self, handler: Callable[[str, bool], None]) -> None:
        raise AssertionError("a look a second is all it takes")

    def addresses(self, peer: str) -> Sequence[str]:
        return ()

    async def connect(self, address: str) -> str:
        self.dials.append((asyncio.get_running_loop().time(), address))
        if address in self.odd:
            raise UnicodeError(address)
        if address not in self.home:
            raise PeerOffline("nobody at home")
        self.connected.add(address)
        return address


@dataclass(frozen=True)
class List:
    """A member list; every member lives at the address that is its name."""

    names: list[str]
    gone: set[str] = field(default_factory=set)

    def members(self) -> tuple[Member, ...]:
        return tuple(Member(name, name, Role.TRUSTED, (name,)) for name in sorted(self.names))

    def peers(self) -> frozenset[str]:
        return frozenset(self.names)

    def role(self, peer: str) -> Role | None:
        return Role.TRUSTED if peer in self.names else None

    def is_trusted(self, peer: str) -> bool:
        return peer in self.names

    def is_member(self, peer: str) -> bool:
        return peer in self.names

    def removed(self) -> frozenset[str]:
        return frozenset(self.gone)

    def name(self, peer: str) -> str:
        return peer

    async def remove(self, peer: str) -> None:
        self.names.remove(peer)


async def run_for(seconds: float, meeting: MemberDialer) -> None:
    task = asyncio.create_task(meeting.run())
    await asyncio.sleep(seconds)
    task.cancel()


@virtual_time
async def test_members_that_are_not_connected_are_dialled_and_we_are_not() -> None:
    street, members = Street({"b", "c"}, {"b"}), List(["a", "b", "c"])
    await run_for(1, MemberDialer("a", members, street, Guard()))
    assert [name for _, name in street.dials] == ["c"]


@virtual_time
async def test_a_member_that_joins_later_is_met_within_a_look() -> None:
    street, members = Street({"b", "c"}), List(["a", "b"])
    meeting = MemberDialer("a", members, street, Guard())
    await run_for(1, meeting)
    members.names.append("c")
    await run_for(LOOK_INTERVAL, meeting)
    assert street.connected == {"b", "c"}


@virtual_time
async def test_a_member_that_is_away_is_tried_less_and_less_and_met_when_it_is_back() -> None:
    street, members = Street(set()), List(["a", "b"])
    meeting = MemberDialer("a", members, street, Guard())
    await run_for(600, meeting)
    times = [when for when, _ in street.dials]
    gaps = [after - before for before, after in pairwise(times)]
    assert gaps == sorted(gaps)
    assert 10 < len(times) < 20
    street.home.add("b")
    await run_for(70, meeting)
    assert street.connected == {"b"}


@virtual_time
async def test_a_lost_member_is_dialled_at_once() -> None:
    street, members = Street({"b"}), List(["a", "b"])
    meeting = MemberDialer("a", members, street, Guard())
    await run_for(1, meeting)
    street.connected.clear()
    await run_for(LOOK_INTERVAL, meeting)
    assert len(street.dials) == 2


@virtual_time
async def test_an_address_that_meets_a_bug_ends_neither_the_loop_nor_the_other_dials() -> None:
    street, members, guard = Street({"b", "c"}, odd={"b"}), List(["a", "b", "c"]), Guard()
    await run_for(10, MemberDialer("a", members, street, guard))
    assert street.connected == {"c"}
    assert 2 <= guard.failures <= 5, "counted once an attempt, with growing pauses"


@virtual_time
async def test_where_all_others_are_out_of_reach_the_log_says_once_what_to_do(caplog) -> None:
    street, members = Street(set()), List(["a", "b", "c"])
    meeting = MemberDialer("a", members, street, Guard())
    await run_for(ALONE_AFTER - 5, meeting)
    assert "pinfold cluster connect" not in caplog.text
    await run_for(600, meeting)
    assert caplog.text.count("pinfold cluster connect ADDRESS") == 1
    street.connected.add("b")
    await run_for(5, meeting)
    street.connected.clear()
    await run_for(60, meeting)
    assert caplog.text.count("pinfold cluster connect ADDRESS") == 2, "again, once they are lost again"


@virtual_time
async def test_a_removed_member_dials_nobody_and_does_not_complain(caplog) -> None:
    street, members = Street(set()), List(["b", "c"], gone={"a"})
    await run_for(600, MemberDialer("a", members, street, Guard()))
    assert (street.dials, caplog.messages) == ([], [])
