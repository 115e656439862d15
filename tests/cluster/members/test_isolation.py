"""A member that reaches no other says so once, and what a user can do."""

from __future__ import annotations

import asyncio

import pytest
from support.clock import virtual_time
from support.memory_members import MemoryMembers
from support.memory_network import MemoryNetwork, Port

from blockstore.common.guard import Guard
from cluster.interfaces import Member, Role
from cluster.members.isolation import ISOLATED_AFTER, IsolationWatch

HINT = "pinfold cluster connect ADDRESS"


def three() -> MemoryMembers:
    return MemoryMembers([Member(name, name, Role.TRUSTED) for name in "abc"])


def port_of_a(network: MemoryNetwork, *others: str) -> Port:
    for name in ("a", *others):
        network.port(name)
        network.set_up(name, True)
    return network.ports["a"]


async def run_for(seconds: float, watch: IsolationWatch) -> None:
    task = asyncio.create_task(watch.run())
    await asyncio.sleep(seconds)
    task.cancel()


@virtual_time
async def test_where_all_others_are_out_of_reach_the_log_says_once_what_to_do(
    caplog: pytest.LogCaptureFixture,
) -> None:
    network = MemoryNetwork()
    watch = IsolationWatch("a", three(), port_of_a(network), Guard())
    await run_for(ISOLATED_AFTER - 5, watch)
    assert HINT not in caplog.text
    await run_for(600, watch)
    assert caplog.text.count(HINT) == 1
    network.port("b")
    network.set_up("b", True)
    await run_for(5, watch)
    network.set_up("b", False)
    await run_for(60, watch)
    assert caplog.text.count(HINT) == 2, "again, once they are lost again"


@virtual_time
async def test_one_member_in_reach_is_enough(caplog: pytest.LogCaptureFixture) -> None:
    await run_for(600, IsolationWatch("a", three(), port_of_a(MemoryNetwork(), "b"), Guard()))
    assert caplog.messages == []


@virtual_time
async def test_a_removed_member_does_not_complain(caplog: pytest.LogCaptureFixture) -> None:
    members = three()
    await members.remove("a")
    await run_for(600, IsolationWatch("a", members, port_of_a(MemoryNetwork()), Guard()))
    assert caplog.messages == []
