"""Wanted peers are dialled until they are connected, and at addresses that lead to them only."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager

import pytest
from support.clock import virtual_time
from support.p2p_networks import networks, until_peer

from blockstore.common.guard import Guard
from node.p2p.errors import DialFailed, OtherPeerAnswered
from node.p2p.peering.address_book import AddressBook
from node.p2p.peering.connected_peers import ConnectedPeers
from node.p2p.peering.dialer import Dialer
from node.p2p.peering.peering import Peering

B = "12D3KooWLBHiGSpTBDTMsPSEfNuV1i1jvhXvR5snyXReo57QGBH2"
C = "12D3KooWJYnpJJdYZHYjRiLKLfYCE9gxafZg3tVfdCcTsB3R9KSt"
HERE, THERE = "/ip4/10.0.0.1/tcp/1", "/ip4/10.0.0.2/tcp/2"


class Wire:
    """Where peers are, the dials that were made, and the peering that makes them."""

    def __init__(self, peering: Callable[[Wire], Peering]) -> None:
        self.at: dict[str, str] = {}
        self.dials: list[tuple[float, str, str]] = []
        self.connected = ConnectedPeers(Guard())
        self.book = AddressBook(now=asyncio.get_running_loop().time)
        self.dialer = Dialer(self.dial, self.book, self.connected)
        self.peering = peering(self)

    async def dial(self, peer: str, address: str) -> bool:
        self.dials.append((asyncio.get_running_loop().time(), peer, address.partition("/p2p/")[0]))
        await asyncio.sleep(0.01)
        answers = self.at.get(address.partition("/p2p/")[0])
        if answers is None:
            raise DialFailed("nothing listens there")
        if answers != peer:
            raise OtherPeerAnswered(f"{answers} answers there")
        self.connected.changed(peer, True)
        return True

    def dialled(self) -> list[str]:
        return [address for _, _, address in self.dials]


@asynccontextmanager
async def wire() -> AsyncIterator[Wire]:
    async with asyncio.TaskGroup() as group:
        tasks: list[asyncio.Task[None]] = []

        def spawn(work: Coroutine[object, object, None]) -> Callable[[], object]:
            tasks.append(group.create_task(work))
            return tasks[-1].cancel

        yield Wire(lambda made: Peering(made.dialer, made.book, made.connected, spawn, Guard()))
        for task in tasks:
            task.cancel()


@virtual_time
async def test_a_peer_that_does_not_answer_is_dialled_with_growing_pauses() -> None:
    async with wire() as made:
        made.peering.keep_connected({B: [HERE]})
        await asyncio.sleep(600)
        times = [at for at, _, _ in made.dials]
        assert 20 <= len(times) <= 70
        assert times[1] - times[0] < 1
        assert 10 <= times[-1] - times[-2] <= 31


@virtual_time
async def test_a_wanted_peer_is_dialled_again_soon_after_it_was_lost() -> None:
    async with wire() as made:
        made.at = {HERE: B}
        made.peering.keep_connected({B: [HERE]})
        await asyncio.sleep(1)
        assert B in made.connected
        lost = asyncio.get_running_loop().time()
        made.connected.changed(B, False)
        await asyncio.sleep(1)
        assert B in made.connected
        assert made.dials[-1][0] - lost <= 0.5


@virtual_time
async def test_a_line_that_comes_back_is_noticed_for_all_by_the_first_peer_that_is_reached() -> None:
    async with wire() as made:
        made.peering.keep_connected({B: [HERE], C: [THERE]})
        await asyncio.sleep(600)
        made.at = {HERE: B, THERE: C}
        while not {*made.connected} & {B, C}:  # noqa: ASYNC110 - a set has no event
            await asyncio.sleep(0.1)
        await asyncio.sleep(1.0)
        assert {*made.connected} == {B, C}


@virtual_time
async def test_the_wanted_set_is_replaced_as_a_whole() -> None:
    async with wire() as made:
        made.peering.keep_connected({B: [HERE]})
        await asyncio.sleep(5)
        made.peering.keep_connected({C: [THERE]})
        assert not made.peering.keeps(B)
        assert made.peering.keeps(C)
        made.dials.clear()
        await asyncio.sleep(300)
        assert set(made.dialled()) == {THERE}


@virtual_time
async def test_the_same_wish_again_changes_nothing() -> None:
    async with wire() as made:
        made.peering.keep_connected({B: [HERE]})
        for _ in range(600):
            await asyncio.sleep(1)
            made.peering.keep_connected({B: [HERE]})
        assert len(made.dials) <= 70


@virtual_time
async def test_new_addresses_are_tried_soon_and_never_faster_than_the_first_pause() -> None:
    async with wire() as made:
        made.peering.keep_connected({B: [HERE]})
        await asyncio.sleep(300)
        made.at = {THERE: B}
        made.peering.keep_connected({B: [HERE, THERE]})
        await asyncio.sleep(2)
        assert B in made.connected
    async with wire() as made:
        for port in range(1000):
            made.peering.keep_connected({B: [f"/ip4/10.0.0.1/tcp/{port + 1}"]})
            await asyncio.sleep(0.1)
        assert len(made.dials) <= 220


@virtual_time
async def test_an_address_where_another_peer_answers_is_dialled_once_and_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with wire() as made:
        made.at = {HERE: C, THERE: B}
        made.peering.keep_connected({B: [HERE, THERE]})
        await asyncio.sleep(5)
        assert B in made.connected
        made.at = {HERE: C}
        made.connected.changed(B, False)
        await asyncio.sleep(3500)
        assert C not in made.connected
        assert made.dialled().count(HERE) == 1
        assert made.dialled().count(THERE) > 5
        assert len([one for one in caplog.messages if HERE in one and B in one]) == 1
        made.at = {HERE: B}  # it has moved there since
        await asyncio.sleep(300)
        assert B in made.connected


@virtual_time
async def test_an_address_that_names_another_peer_is_not_dialled_at_all(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with wire() as made:
        made.at = {HERE: C}
        made.peering.keep_connected({B: [f"{HERE}/p2p/{C}", "nonsense\x1b[2J"]})
        await asyncio.sleep(300)
        assert not made.dials
        assert len(caplog.messages) == 2
        assert "\x1b" not in caplog.text


@virtual_time
async def test_a_rejected_address_is_tried_again_when_the_peer_lists_others() -> None:
    async with wire() as made:
        made.at = {HERE: C}
        made.peering.keep_connected({B: [HERE]})
        await asyncio.sleep(60)
        made.at = {HERE: B}
        made.peering.keep_connected({B: [HERE, THERE]})
        await asyncio.sleep(2)
        assert B in made.connected


@virtual_time
async def test_what_a_user_named_stays_kept_whatever_else_is_wanted() -> None:
    async with wire() as made:
        made.peering.keep_named([f"{HERE}/p2p/{B}"])
        made.peering.keep_connected({C: [THERE]})
        made.peering.keep_connected({})
        assert made.peering.keeps(B)
        assert not made.peering.keeps(C)
        made.peering.forget(B)
        assert not made.peering.keeps(B)


async def test_a_member_that_names_a_third_peer_s_address_makes_no_connection_to_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Over sockets: the third peer proves another key, so the connection is given up and not tried again."""
    caplog.set_level(logging.WARNING)
    async with networks(3) as (_, (a, b, third)):
        met: list[str] = []
        third.on_peer_change(lambda peer, connected: met.append(peer))
        address = third.addresses()[0].partition("/p2p/")[0]
        a.keep_connected({b.self_id: [address, third.addresses()[0], f"{address}/p2p/{b.self_id}"]})
        while not any(address in one and "dialled" in one for one in caplog.messages):  # noqa: ASYNC110
            await asyncio.sleep(0.01)  # a log has no event
        assert not a.peers()
        a.keep_connected({b.self_id: [address, b.addresses()[0]]})
        await until_peer(a, b.self_id)
        assert a.peers() == {b.self_id}
        assert third.self_id not in a.peers()
        assert not met


async def test_members_find_each_other_at_listed_addresses_without_ids_in_them() -> None:
    async with networks(2) as (_, (a, b)):
        places = [address.partition("/p2p/")[0] for address in b.addresses()]
        a.keep_connected({b.self_id: places, a.self_id: a.addresses()})
        await until_peer(a, b.self_id)
        assert a.peers() == {b.self_id}


async def test_a_peer_without_an_address_is_met_when_it_comes_by_itself() -> None:
    async with networks(2) as (_, (a, b)):
        a.keep_connected({b.self_id: []})
        await b.connect(a.addresses()[0])
        await until_peer(a, b.self_id)
