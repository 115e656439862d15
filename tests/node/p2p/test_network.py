from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest
import trio
from support.p2p_networks import LOOPBACK, SETTINGS, Collector, as_stranger, networks, until_peer

from bitswap.network import PeerUnreachable
from blockstore.common import varint
from cluster.ports import CallFailed, PeerOffline
from node.datadir.identity import Identity
from node.p2p.errors import StreamLost, UndialableAddress
from node.p2p.network import ListenAddressInUse, NetworkSettings, open_network
from node.p2p.portal import open_portal
from node.p2p.swarm.identify import PeerDescription
from node.p2p.transport import negotiation
from node.p2p.transport.connection import Connection

PROTOCOL = "/test/messages/1"
MIB = 1024 * 1024
NOTHING = PeerDescription("", (), ())


@pytest.mark.parametrize(
    "settings",
    [
        SETTINGS,
        replace(SETTINGS, psk=b"k" * 32),
        replace(SETTINGS, fast_noise=False),
        replace(SETTINGS, fast_yamux=False),
        replace(SETTINGS, psk=b"k" * 32, fast_noise=False, fast_yamux=False),
    ],
    ids=["plain", "psk", "stock noise", "stock yamux", "psk, all stock"],
)
async def test_a_thousand_messages_arrive_in_order(settings: NetworkSettings) -> None:
    async with networks(2, settings) as (_, (a, b)):
        seen = Collector()
        b.on_message([PROTOCOL], seen)
        assert await a.connect(b.addresses()[0]) == b.self_id
        await asyncio.gather(*[a.send(b.self_id, [PROTOCOL], n.to_bytes(4)) for n in range(1000)])
        assert await seen.wait(1000) == [n.to_bytes(4) for n in range(1000)]
        assert set(seen.peers) == {a.self_id}


async def test_large_and_empty_messages_arrive_whole() -> None:
    async with networks(2) as (_, (a, b)):
        seen = Collector()
        b.on_message([PROTOCOL], seen)
        await a.connect(b.addresses()[0])
        sent = [b"", os.urandom(4 * MIB), b"x", os.urandom(MIB + 1), b""]
        for message in sent:
            assert await a.send(b.self_id, ["/test/unknown/1", PROTOCOL], message) == PROTOCOL
        assert await seen.wait(len(sent)) == sent


async def test_both_sides_may_send_large_messages_at_once() -> None:
    async with networks(2) as (_, (a, b)):
        at_a, at_b = Collector(), Collector()
        a.on_message([PROTOCOL], at_a)
        b.on_message([PROTOCOL], at_b)
        await a.connect(b.addresses()[0])
        await until_peer(b, a.self_id)
        data = os.urandom(MIB)
        await asyncio.gather(
            *[a.send(b.self_id, [PROTOCOL], data) for _ in range(24)],
            *[b.send(a.self_id, [PROTOCOL], data) for _ in range(24)],
        )
        assert await at_a.wait(24) == [data] * 24
        assert await at_b.wait(24) == [data] * 24


async def test_a_sender_waits_for_a_handler_that_does_not_return() -> None:
    async with networks(2) as (_, (a, b)):
        go_on, handled = asyncio.Event(), Collector()

        async def slow(peer: str, protocol: str, message: bytes) -> None:
            await go_on.wait()
            await handled(peer, protocol, message)

        b.on_message([PROTOCOL], slow)
        await a.connect(b.addresses()[0])
        sends = [asyncio.create_task(a.send(b.self_id, [PROTOCOL], bytes(MIB))) for _ in range(40)]
        # Four at the receiver, one read ahead by its window, four on their way, and what the sockets hold.
        await asyncio.gather(*sends[:4])
        done, _ = await asyncio.wait(sends, timeout=0.5)
        assert len(done) <= 24
        go_on.set()
        await handled.wait(40)
        await asyncio.gather(*sends)


async def test_a_send_that_is_given_up_does_not_disturb_those_behind_it() -> None:
    async with networks(2) as (_, (a, b)):
        go_on, handled = asyncio.Event(), Collector()

        async def slow(peer: str, protocol: str, message: bytes) -> None:
            await go_on.wait()
            await handled(peer, protocol, message[:1])

        b.on_message([PROTOCOL], slow)
        await a.connect(b.addresses()[0])
        sends = [asyncio.create_task(a.send(b.self_id, [PROTOCOL], bytes([n]) * MIB)) for n in range(40)]
        await asyncio.gather(*sends[:4])
        _, waiting = await asyncio.wait(sends, timeout=0.2)
        last = sends[-1]
        given_up = waiting - {last}
        for send in given_up:
            send.cancel()
        go_on.set()
        await last
        await asyncio.wait(sends)
        while handled.messages[-1:] != [bytes([39])]:
            await handled.wait(len(handled.messages) + 1)
        assert handled.messages == sorted(handled.messages)
        assert 40 - len(given_up) <= len(handled.messages) < 40


async def test_a_handler_s_exception_costs_that_message_only(caplog: pytest.LogCaptureFixture) -> None:
    async with networks(2) as (_, (a, b)):
        handled = Collector()

        async def picky(peer: str, protocol: str, message: bytes) -> None:
            if message == b"bad":
                raise RuntimeError("cannot stomach it")
            await handled(peer, protocol, message)

        b.on_message([PROTOCOL], picky)
        await a.connect(b.addresses()[0])
        for message in (b"1", b"bad", b"2"):
            await a.send(b.self_id, [PROTOCOL], message)
        assert await handled.wait(2) == [b"1", b"2"]
    assert "cannot stomach it" in caplog.text


async def test_a_message_nobody_serves_is_refused() -> None:
    async with networks(2) as (_, (a, b)):
        await a.connect(b.addresses()[0])
        with pytest.raises(PeerUnreachable, match="speaks none of /test/nobody/1"):
            await a.send(b.self_id, ["/test/nobody/1"], b"hello?")


async def test_a_message_above_4_mib_is_refused_here_and_resets_the_stream_there() -> None:
    async with networks(1) as (portal, (a,)):
        seen = Collector()
        a.on_message([PROTOCOL], seen)
        with pytest.raises(ValueError, match="limit"):
            await a.send("12D3KooWx", [PROTOCOL], bytes(4 * MIB + 1))

        async def too_large(connection: Connection) -> None:
            pipe = await connection.muxer.open_stream()
            await negotiation.ask(pipe, [PROTOCOL])
            await pipe.write(b"\x01A" + varint.encode(4 * MIB + 1))
            with pytest.raises(StreamLost, match="reset"):
                await pipe.read()

        await as_stranger(portal, a.addresses()[0], too_large)
        assert await seen.wait(1) == [b"A"]


async def test_a_peer_nobody_knows_cannot_be_sent_to() -> None:
    async with networks(1) as (_, (a,)):
        with pytest.raises(PeerUnreachable, match="no address"):
            await a.send(Identity.generate().peer_id, [PROTOCOL], b"x")


async def test_a_message_dials_a_peer_whose_address_is_known() -> None:
    async with networks(2) as (_, (a, b)):
        seen = Collector()
        b.on_message([PROTOCOL], seen)
        await a.connect(b.addresses()[0])
        await a.disconnect(b.self_id)
        await until_peer(a, b.self_id, connected=False)
        await a.send(b.self_id, [PROTOCOL], b"again")
        assert await seen.wait(1) == [b"again"]


async def test_a_peer_that_is_gone_is_told_with_one_of_its_addresses_and_the_number_of_the_others(
    tmp_path: Path,
) -> None:
    peer = Identity.generate().peer_id
    addresses = [f"/ip4/127.0.0.1/tcp/{port}" for port in range(1, 9)]
    book = tmp_path / "peers.json"
    book.write_text(json.dumps({peer: {"addresses": addresses, "wanted": False}}))
    async with networks(1, replace(SETTINGS, peer_file=book)) as (_, (a,)):
        with pytest.raises(PeerUnreachable, match=r"tcp/1/.*7 more") as told:
            await a.send(peer, [PROTOCOL], b"x")
    assert "tcp/2/" not in str(told.value)


async def test_comings_and_goings_are_told_once_each() -> None:
    async with networks(2) as (_, (a, b)):
        told: list[tuple[str, bool]] = []
        a.on_peer_change(lambda peer, connected: told.append((peer, connected)))
        await a.connect(b.addresses()[0])
        await a.disconnect(b.self_id)
        await until_peer(a, b.self_id, connected=False)
        assert told == [(b.self_id, True), (b.self_id, False)]


async def test_two_that_dial_each_other_at_once_can_talk() -> None:
    async with networks(2) as (_, (a, b)):
        seen = Collector()
        b.on_message([PROTOCOL], seen)
        await asyncio.gather(a.connect(b.addresses()[0]), b.connect(a.addresses()[0]))
        await asyncio.gather(*[a.send(b.self_id, [PROTOCOL], b"x") for _ in range(10)])
        await seen.wait(10)
        assert a.peers() == {b.self_id}
        assert b.peers() == {a.self_id}


async def test_calls_are_answered_and_their_errors_reach_the_caller() -> None:
    async with networks(2) as (_, (a, b)):

        async def double(peer: str, request: bytes) -> bytes:
            assert peer == a.self_id
            return request * 2

        async def refuse(_peer: str, request: bytes) -> bytes:
            raise PermissionError(f"{request.decode()} may not")

        b.serve("double", double)
        b.serve("refuse", refuse)
        await a.connect(b.addresses()[0])
        answers = await asyncio.gather(*[a.call(b.self_id, "double", bytes([n])) for n in range(200)])
        assert answers == [bytes([n, n]) for n in range(200)]
        with pytest.raises(CallFailed, match="mallory may not"):
            await a.call(b.self_id, "refuse", b"mallory")
        with pytest.raises(CallFailed, match='no method "absent"'):
            await a.call(b.self_id, "absent", b"")


async def test_calls_carry_4_mib_each_way_and_not_more() -> None:
    async with networks(2) as (_, (a, b)):

        async def echo(_peer: str, request: bytes) -> bytes:
            return request if request != b"too much" else bytes(4 * MIB + 1)

        b.serve("echo", echo)
        await a.connect(b.addresses()[0])
        data = os.urandom(4 * MIB)
        assert await a.call(b.self_id, "echo", data) == data
        with pytest.raises(CallFailed, match="limit"):
            await a.call(b.self_id, "echo", b"too much")
        with pytest.raises(ValueError, match="limit"):
            await a.call(b.self_id, "echo", data + b"x")


async def test_a_call_that_is_not_answered_in_time_fails_and_the_next_one_works() -> None:
    async with networks(2) as (_, (a, b)):

        async def never(_peer: str, _request: bytes) -> bytes:
            await asyncio.get_running_loop().create_future()
            return b""

        async def quick(_peer: str, _request: bytes) -> bytes:
            return b"here"

        b.serve("never", never)
        b.serve("quick", quick)
        await a.connect(b.addresses()[0])
        with pytest.raises(PeerOffline, match=r"did not answer never within 0\.1 s"):
            await a.call(b.self_id, "never", b"", timeout=0.1)
        assert await a.call(b.self_id, "quick", b"") == b"here"


async def test_calls_in_flight_fail_when_the_peer_leaves_and_are_no_futures_that_nobody_awaits(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with networks(2) as (_, (a, b)):
        asked = asyncio.Event()

        async def never(_peer: str, _request: bytes) -> bytes:
            asked.set()
            await asyncio.get_running_loop().create_future()
            return b""

        b.serve("never", never)
        await a.connect(b.addresses()[0])
        calls = [asyncio.create_task(a.call(b.self_id, "never", bytes(1_000_000), 600)) for _ in range(32)]
        await asked.wait()
        await b.disconnect(a.self_id)
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(result) for result in results} == {PeerOffline}
        assert "disconnected" in str(results[0])
        del results, calls
        gc.collect()
        await asyncio.sleep(0)
    assert "never retrieved" not in caplog.text
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_members_call_each_other_from_within_calls() -> None:
    async with networks(2) as (_, (a, b)):

        async def at_b(peer: str, request: bytes) -> bytes:
            return b"b" + await b.call(peer, "at a", request)

        async def at_a(_peer: str, request: bytes) -> bytes:
            return b"a" + request

        a.serve("at a", at_a)
        b.serve("at b", at_b)
        await a.connect(b.addresses()[0])
        await until_peer(b, a.self_id)
        assert await asyncio.gather(*[a.call(b.self_id, "at b", b"!") for _ in range(200)]) == [b"ba!"] * 200


async def test_gossip_reaches_every_member_and_not_its_author() -> None:
    async with networks(3, replace(SETTINGS, gossip=True, psk=b"k" * 32)) as (_, members):
        seen = [Collector() for _ in members]
        for member, collector in zip(members, seen, strict=True):
            member.subscribe("pins", collector.gossip)
        a, b, c = members
        await a.connect(b.addresses()[0])
        await b.connect(c.addresses()[0])  # a and c do not know each other

        async def keep_saying() -> (
            None
        ):  # a mesh forms within a few heartbeats; until then gossip may be lost
            while True:
                await a.publish("pins", b"x" * 300_000)
                await asyncio.sleep(0.2)

        saying = asyncio.create_task(keep_saying())
        assert (await seen[2].wait(1))[0] == b"x" * 300_000
        assert (await seen[1].wait(1))[0] == b"x" * 300_000
        saying.cancel()
        assert set(seen[2].peers) == {a.self_id}
        assert set(seen[2].forwarders) == {b.self_id}
        assert not seen[0].messages
        with pytest.raises(ValueError, match="limit"):
            await a.publish("pins", bytes(MIB))


async def test_gossip_is_not_throttled() -> None:
    async with networks(2, replace(SETTINGS, gossip=True)) as (_, (a, b)):
        seen = Collector()
        b.subscribe("t", seen.gossip)
        a.subscribe("t", Collector().gossip)
        await a.connect(b.addresses()[0])
        while not seen.messages:
            await a.publish("t", b"first")
            await asyncio.sleep(0.05)
        before = len(seen.messages)
        for n in range(300):
            await a.publish("t", n.to_bytes(4))
        await seen.wait(before + 300)


async def test_a_wrong_key_does_not_get_in() -> None:
    async with (
        networks(1, replace(SETTINGS, psk=b"k" * 32)) as (_, (a,)),
        networks(1, replace(SETTINGS, psk=b"w" * 32)) as (_, (b,)),
        networks(1) as (_, (c,)),
    ):
        for outsider in (b, c):
            with pytest.raises(PeerOffline, match="cannot be reached"):
                await outsider.connect(a.addresses()[0])
            with pytest.raises(PeerOffline):
                await a.connect(outsider.addresses()[0])
        assert not a.peers()


async def test_an_address_with_another_peer_s_id_does_not_connect() -> None:
    async with networks(2) as (_, (a, b)):
        wrong = b.addresses()[0].replace(b.self_id, Identity.generate().peer_id)
        with pytest.raises(PeerOffline):
            await a.connect(wrong)
        assert not a.peers()


@pytest.mark.parametrize(
    "text", ["", "/ip4/127.0.0.1/tcp/1", "/ip4/1.2.3/tcp/1/p2p/x", "/ip4/127.0.0.1/udp/1/quic"]
)
async def test_a_bad_address_is_named(text: str) -> None:
    async with networks(1) as (_, (a,)):
        with pytest.raises(UndialableAddress):
            await a.connect(text)


async def test_a_port_in_use_is_named_with_its_setting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = NetworkSettings("swarm", (f"/ip4/127.0.0.1/tcp/{port}",), port_setting="swarm.port")
        async with open_portal() as portal:
            with pytest.raises(ListenAddressInUse, match=rf"{port}.*swarm\.port"):
                async with open_network(portal, Identity.generate(), settings):
                    pass


async def test_a_wanted_peer_is_dialled_again_when_it_comes_back() -> None:
    identity = Identity.generate()
    async with networks(1) as (portal, (a,)):
        async with open_network(portal, identity, SETTINGS) as b:
            place = b.addresses()[0]
            await a.connect(place)
        await until_peer(a, identity.peer_id, connected=False)
        back = replace(SETTINGS, listen=(place.partition("/p2p/")[0],))
        async with open_network(portal, identity, back):
            await until_peer(a, identity.peer_id)


async def test_peers_to_keep_are_dialled_from_the_start_and_addresses_survive_a_restart(
    tmp_path: Path,
) -> None:
    file = tmp_path / "peers.json"
    async with networks(1) as (portal, (a,)):
        settings = replace(SETTINGS, keep=a.addresses(), peer_file=file)
        async with open_network(portal, Identity.generate(), settings) as b:
            await until_peer(b, a.self_id)
        assert json.loads(file.read_text())[a.self_id]["addresses"]
        async with open_network(portal, Identity.generate(), replace(SETTINGS, peer_file=file)) as b:
            await until_peer(b, a.self_id)
            await b.disconnect(a.self_id)
        assert not json.loads(file.read_text())[a.self_id]["wanted"]


async def test_after_trio_has_died_the_network_comes_back_on_its_port_with_its_peers() -> None:
    async with networks(2, replace(SETTINGS, gossip=True)) as (portal, (a, b)):
        seen = Collector()
        b.on_message([PROTOCOL], seen)
        await a.connect(b.addresses()[0])
        before = a.addresses()

        async def bug() -> None:
            raise RuntimeError("a bug in a system task ends trio")

        async def die() -> None:
            trio.lowlevel.spawn_system_task(bug)

        gone = asyncio.create_task(until_peer(a, b.self_id, connected=False))
        await asyncio.sleep(0)
        await portal.to_trio(die)
        await gone
        await until_peer(a, b.self_id)
        assert a.addresses() == before
        await a.send(b.self_id, [PROTOCOL], b"still here")
        assert await seen.wait(1) == [b"still here"]


async def test_when_places_run_out_peers_that_are_wanted_stay_and_others_are_refused() -> None:
    async with networks(4, replace(SETTINGS, max_connections=1)) as (_, (a, b, c, d)):
        await b.connect(a.addresses()[0])
        await a.connect(b.addresses()[0])  # from now on a wants to stay connected to it
        await until_peer(a, b.self_id)
        with contextlib.suppress(PeerOffline):  # the handshake goes well, then it is cut
            await c.connect(a.addresses()[0])
        await until_peer(c, a.self_id, connected=False)
        await a.connect(d.addresses()[0])  # what we dial ourselves is not counted
        assert a.peers() == {b.self_id, d.self_id}


async def test_identify_tells_the_agent_and_protocols_also_those_served_later() -> None:
    async with networks(2) as (_, (a, b)):
        await a.connect(b.addresses()[0])
        b.on_message(["/test/late/1"], Collector())
        while "/test/late/1" not in (found := a.describe(b.self_id) or NOTHING).protocols:  # noqa: ASYNC110
            await asyncio.sleep(0.01)  # a description has no event: nobody but this test waits for one
        assert found.agent.startswith("pinfold/")
        assert "/ipfs/ping/1.0.0" in found.protocols
        assert f"{found.addresses[0]}/p2p/{b.self_id}" == b.addresses()[0]
        assert await a.ping(b.self_id) > 0


async def test_a_wildcard_listens_on_addresses_others_can_dial() -> None:
    async with networks(2, replace(SETTINGS, listen=("/ip4/0.0.0.0/tcp/0",))) as (_, (a, b)):
        assert not [text for text in b.addresses() if "0.0.0.0" in text]
        await a.connect(next(text for text in b.addresses() if "127.0.0.1" in text))
    assert LOOPBACK[0].startswith("/ip4/127.0.0.1")
