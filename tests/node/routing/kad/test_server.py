"""What a DHT server answers and keeps: of strangers, so verified, bounded, and each for its time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.dht_network import sim_peer

from node.names.errors import BadRecord
from node.routing.kad.keys import kad_key, peer_key
from node.routing.kad.message import BadKadMessage, KadMessage, KadRecord, KadType
from node.routing.kad.provider_store import LIFETIME, OF_ONE_KEY, OF_ONE_PEER, ProviderStore
from node.routing.kad.routing_table import BUCKET, RoutingTable
from node.routing.kad.server import KadServer
from node.routing.router import Provider

US, ASKER = sim_peer(1).peer, sim_peer(2)
KEY = b"\x12\x20" + bytes(32)


def server(servers: int = 30) -> KadServer:
    table = RoutingTable(US)
    for number in range(10, 10 + servers):
        table.heard(sim_peer(number), 0.0)
    return KadServer(table, lambda key: None, lambda peer: bool(peer.addresses))


def told(ours: KadServer, peer: str, *providers: Provider, now: float = 0.0) -> None:
    assert ours.answer(peer, KadMessage(KadType.ADD_PROVIDER, KEY, providers=providers), now) is None


def asked(ours: KadServer, now: float = 0.0) -> KadMessage:
    answer = ours.answer("asker", KadMessage(KadType.GET_PROVIDERS, KEY), now)
    assert answer is not None
    return answer


def test_a_peer_is_kept_as_a_provider_by_its_own_word_alone_and_for_two_days() -> None:
    ours = server()
    told(ours, ASKER.peer, ASKER, sim_peer(3), Provider(sim_peer(4).peer))
    assert asked(ours).providers == (ASKER,)
    assert asked(ours, LIFETIME + 1).providers == ()


def test_an_answer_names_the_nearest_and_never_the_asker() -> None:
    closer = asked(server()).closer
    distances = [peer_key(one.peer) ^ kad_key(KEY) for one in closer]
    assert distances == sorted(distances)
    assert len(closer) == BUCKET
    near = closer[0].peer
    answer = server().answer(near, KadMessage(KadType.FIND_NODE, KEY), 0.0)
    assert answer is not None
    assert near not in [one.peer for one in answer.closer]


@pytest.mark.parametrize(
    "request_",
    [
        KadMessage(KadType.FIND_NODE),
        KadMessage(KadType.PUT_VALUE, b"/ipns/" + KEY),
        KadMessage(KadType.PUT_VALUE, b"/pk/" + KEY, KadRecord(b"/pk/" + KEY, b"x")),
        KadMessage(KadType.PUT_VALUE, b"/ipns/" + KEY, KadRecord(b"/ipns/" + KEY, b"no record")),
        KadMessage(KadType.PUT_VALUE, b"/ipns/" + KEY, KadRecord(b"/ipns/other", b"")),
        KadMessage(KadType.GET_VALUE, b"/ipns/" + b"\x99"),
    ],
)
def test_what_is_not_served_or_does_not_verify_is_refused(request_: KadMessage) -> None:
    with pytest.raises(BadRecord):
        server().answer(ASKER.peer, request_, 0.0)


def test_one_peer_and_one_key_have_their_share_of_the_store() -> None:
    store = ProviderStore()
    kept = [store.add(b"%d" % number, ASKER, 0.0) for number in range(OF_ONE_PEER + 5)]
    assert sum(kept) == OF_ONE_PEER == len(store)
    for number in range(OF_ONE_KEY + 5):
        store.add(KEY, sim_peer(number + 10), 1.0)
    assert len(store.of(KEY, 1.0)) == OF_ONE_KEY
    assert store.of(KEY, 1.0 + LIFETIME) == []
    assert len(store) == 0


def test_one_range_of_addresses_has_few_places_in_the_table_and_a_dead_peer_none() -> None:
    table = RoutingTable(US)
    crowd = [Provider(sim_peer(number).peer, (f"/ip4/8.8.1.{number}/tcp/1",)) for number in range(10, 60)]
    assert sum(table.heard(one, 0.0) for one in crowd) <= 3
    local = [Provider(sim_peer(number).peer, ("/ip4/127.0.0.1/tcp/1",)) for number in range(100, 110)]
    assert all(table.heard(one, 0.0) for one in local)
    for _ in range(2):
        table.failed(local[0].peer)
    assert local[0].peer not in table
    assert not table.heard(Provider(US, ("/ip4/127.0.0.1/tcp/1",)), 0.0)


def test_a_full_bucket_keeps_those_that_answer_and_lets_the_silent_go() -> None:
    table = RoutingTable(US)
    far = [one for one in map(sim_peer, range(10, 2000)) if peer_key(one.peer) >> 255 != peer_key(US) >> 255]
    plain = [Provider(one.peer, ("/ip4/127.0.0.1/tcp/1",)) for one in far[:30]]
    assert [table.heard(one, 0.0) for one in plain[:21]] == [True] * BUCKET + [False]
    table.failed(plain[3].peer)
    assert table.heard(plain[25], 1.0)
    assert plain[3].peer not in table
    assert table.heard(plain[26], 4000.0)


@given(
    st.binary(max_size=200)
    | st.builds(lambda kind, rest: bytes([8, kind, 18]) + rest, st.integers(0, 5), st.binary(max_size=80))
)
def test_any_bytes_of_a_stranger_get_an_answer_or_none_and_break_nothing(data: bytes) -> None:
    ours = server(3)
    try:
        answer = ours.answer(ASKER.peer, KadMessage.decode(data), 0.0)
    except (BadKadMessage, BadRecord):
        return
    assert answer is None or KadMessage.decode(answer.encode()) == answer
