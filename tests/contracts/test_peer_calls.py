"""What every PeerCalls promises (cluster/ports.py), run against each of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from support.contract_networks import NOWHERE, STRANGER, Opener, Pair, gated, in_memory, libp2p, simulated

from cluster.ports import MAX_CALL, CallFailed, HandlerTaken, PeerCalls, PeerOffline
from node.offline_network import NoNetwork

OPENERS: dict[str, Opener[PeerCalls]] = {
    "libp2p": libp2p,
    "members only": gated,
    "memory cluster": in_memory,
    "simulated cluster": simulated,
}


@pytest.fixture(params=OPENERS)
async def pair(request: pytest.FixtureRequest) -> AsyncIterator[Pair[PeerCalls]]:
    async with OPENERS[request.param]() as opened:
        yield opened


async def echo(peer: str, request: bytes) -> bytes:
    return peer.encode() + b" says " + request


async def never(_peer: str, _request: bytes) -> bytes:
    await asyncio.Event().wait()
    raise AssertionError


async def test_a_handler_is_told_who_calls_and_its_answer_comes_back(pair: Pair[PeerCalls]) -> None:
    pair.b.network.serve("echo", echo)
    answer = await pair.a.network.call(pair.b.peer, "echo", b"hello")
    assert answer == pair.a.peer.encode() + b" says hello"


async def test_both_ends_call_and_serve(pair: Pair[PeerCalls]) -> None:
    pair.a.network.serve("echo", echo)
    pair.b.network.serve("echo", echo)
    answers = await asyncio.gather(
        *(pair.a.network.call(pair.b.peer, "echo", b"%d" % number) for number in range(50)),
        pair.b.network.call(pair.a.peer, "echo", b"back"),
    )
    assert answers[7] == pair.a.peer.encode() + b" says 7"
    assert answers[-1] == pair.b.peer.encode() + b" says back"


async def test_calls_are_handled_side_by_side(pair: Pair[PeerCalls]) -> None:
    meeting = asyncio.Barrier(3)

    async def meet(_peer: str, _request: bytes) -> bytes:
        await meeting.wait()
        return b"met"

    pair.b.network.serve("meet", meet)
    calls = (pair.a.network.call(pair.b.peer, "meet", b"") for _ in range(3))
    assert await asyncio.gather(*calls) == [b"met"] * 3


async def test_what_a_handler_raises_reaches_the_caller_as_text(pair: Pair[PeerCalls]) -> None:
    async def fail(_peer: str, request: bytes) -> bytes:
        raise OSError(request.decode()) if request else OSError

    pair.b.network.serve("fail", fail)
    with pytest.raises(CallFailed, match="the disk is full"):
        await pair.a.network.call(pair.b.peer, "fail", b"the disk is full")
    with pytest.raises(CallFailed, match="OSError"):
        await pair.a.network.call(pair.b.peer, "fail", b"")


async def test_a_method_that_is_not_served_fails(pair: Pair[PeerCalls]) -> None:
    with pytest.raises(CallFailed, match='no method "odd" here'):
        await pair.a.network.call(pair.b.peer, "odd", b"")


async def test_a_method_has_one_handler(pair: Pair[PeerCalls]) -> None:
    pair.b.network.serve("echo", echo)
    with pytest.raises(HandlerTaken, match='"echo" has a handler already'):
        pair.b.network.serve("echo", never)
    assert await pair.a.network.call(pair.b.peer, "echo", b"still")


async def test_a_peer_that_is_not_there_is_offline(pair: Pair[PeerCalls]) -> None:
    with pytest.raises(PeerOffline):
        await pair.a.network.call(STRANGER, "echo", b"")


async def test_a_peer_that_does_not_answer_in_time_is_offline(pair: Pair[PeerCalls]) -> None:
    pair.b.network.serve("never", never)
    pair.b.network.serve("echo", echo)
    with pytest.raises(PeerOffline, match="did not answer"):
        await pair.a.network.call(pair.b.peer, "never", b"", timeout=0.1)
    assert await pair.a.network.call(pair.b.peer, "echo", b"")


async def test_a_call_that_is_given_up_ends_at_once(pair: Pair[PeerCalls]) -> None:
    pair.b.network.serve("echo", echo)
    called = asyncio.Event()

    async def busy(_peer: str, _request: bytes) -> bytes:
        called.set()
        return await never(_peer, _request)

    pair.b.network.serve("busy", busy)
    call = asyncio.create_task(pair.a.network.call(pair.b.peer, "busy", b"", timeout=60))
    await called.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(call, 5)
    assert await pair.a.network.call(pair.b.peer, "echo", b"")


async def test_requests_and_responses_up_to_the_limit_pass_and_larger_ones_are_errors(
    pair: Pair[PeerCalls],
) -> None:
    async def as_long(_peer: str, request: bytes) -> bytes:
        return bytes(int(request[:8]))

    pair.b.network.serve("as long", as_long)
    asked = b"%08d" % MAX_CALL
    request = asked + bytes(MAX_CALL - len(asked))
    assert await pair.a.network.call(pair.b.peer, "as long", request) == bytes(MAX_CALL)
    with pytest.raises(ValueError, match="the limit is"):
        await pair.a.network.call(pair.b.peer, "as long", request + b"x")
    with pytest.raises(CallFailed, match="the limit is"):
        await pair.a.network.call(pair.b.peer, "as long", b"%08d" % (MAX_CALL + 1))


async def test_who_is_connected_is_known_and_each_change_is_heard(pair: Pair[PeerCalls]) -> None:
    heard: list[tuple[str, bool]] = []
    again: list[tuple[str, bool]] = []
    pair.a.network.on_peer_change(lambda peer, connected: heard.append((peer, connected)))
    assert pair.a.network.peers() == {pair.b.peer}
    await pair.part()
    assert pair.a.network.peers() == frozenset()
    pair.a.network.on_peer_change(lambda peer, connected: again.append((peer, connected)))
    await pair.join()
    assert heard == [(pair.b.peer, False), (pair.b.peer, True)]
    assert again == [(pair.b.peer, True)]


async def test_addresses_name_their_peer(pair: Pair[PeerCalls]) -> None:
    for peer in (pair.a.peer, pair.b.peer):
        addresses = pair.a.network.addresses(peer)
        assert addresses
        assert all(address.endswith(f"/p2p/{peer}") for address in addresses)


async def test_connecting_gives_the_peer_and_fails_where_none_answers(pair: Pair[PeerCalls]) -> None:
    address = pair.b.network.addresses(pair.b.peer)[0]
    assert await pair.a.network.connect(address) == pair.b.peer
    with pytest.raises(PeerOffline):
        await pair.a.network.connect(NOWHERE)


async def test_a_node_without_a_network_keeps_the_same_promises() -> None:
    calls = NoNetwork()
    calls.serve("echo", echo)
    with pytest.raises(HandlerTaken):
        calls.serve("echo", echo)
    for offline in (calls.call(STRANGER, "echo", b""), calls.connect(NOWHERE)):
        with pytest.raises(PeerOffline):
            await offline
    with pytest.raises(ValueError, match="the limit is"):
        await calls.call(STRANGER, "echo", bytes(MAX_CALL + 1))
    assert calls.peers() == frozenset()
    assert calls.addresses(STRANGER) == ()
