"""Messages of the DHT: what is written is read again, and any bytes are harmless."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blockstore.common import protobuf
from node.datadir.identity import Identity
from node.routing.kad.message import MAX_BYTES, BadKadMessage, KadMessage, KadRecord, KadType
from node.routing.router import Provider

PEERS = [Identity.from_seed(bytes([number]) * 32).peer_id for number in range(4)]
ADDRESSES = ("/ip4/127.0.0.1/tcp/4001", "/ip6/2001:db8::1/udp/4001/quic-v1", "/dns4/example.org/tcp/443/wss")

providers = st.builds(
    Provider, st.sampled_from(PEERS), st.lists(st.sampled_from(ADDRESSES), unique=True).map(tuple)
)
messages = st.builds(
    KadMessage,
    st.sampled_from(KadType),
    st.binary(max_size=64),
    st.none() | st.builds(KadRecord, st.binary(max_size=64), st.binary(max_size=300)),
    st.lists(providers, max_size=5).map(tuple),
    st.lists(providers, max_size=5).map(tuple),
)


@given(messages)
def test_what_is_written_is_read_again(message: KadMessage) -> None:
    assert KadMessage.decode(message.encode()) == message


@given(st.binary(max_size=300) | messages.map(KadMessage.encode).flatmap(lambda data: st.just(data[:-1])))
def test_any_bytes_are_a_message_or_refused(data: bytes) -> None:
    try:
        message = KadMessage.decode(data)
    except BadKadMessage:
        return
    assert KadMessage.decode(message.encode()) == message


def test_a_peer_without_a_proper_id_is_passed_over_and_its_odd_addresses_too() -> None:
    good = KadMessage(KadType.FIND_NODE, closer=(Provider(PEERS[0], ADDRESSES[:1]),)).encode()
    odd = protobuf.bytes_field(8, protobuf.bytes_field(1, b"\x12\x05abc"))
    lettered = protobuf.bytes_field(8, good[-4:])
    assert KadMessage.decode(good + odd).closer == (Provider(PEERS[0], ADDRESSES[:1]),)
    with pytest.raises(BadKadMessage):
        KadMessage.decode(good + lettered[:-1])


def test_an_address_that_repeats_its_peer_is_told_without_it() -> None:
    message = KadMessage(KadType.FIND_NODE, closer=(Provider(PEERS[0], (f"{ADDRESSES[0]}/p2p/{PEERS[0]}",)),))
    assert KadMessage.decode(message.encode()).closer == (Provider(PEERS[0], ADDRESSES[:1]),)


@pytest.mark.parametrize(
    "data",
    [
        protobuf.field(1, 6),  # no such type
        protobuf.bytes_field(2, bytes(257)),  # a key beyond its limit
        protobuf.field(2, 1),  # another wire type
        protobuf.bytes_field(10, bytes(MAX_BYTES)),  # too long
        protobuf.bytes_field(8, b"") * 4097,  # endless
    ],
)
def test_what_is_out_of_bounds_is_refused(data: bytes) -> None:
    with pytest.raises(BadKadMessage):
        KadMessage.decode(data)


def test_many_peers_and_addresses_are_cut() -> None:
    crowd = tuple(
        Provider(PEERS[0], tuple(f"/ip4/127.0.0.1/tcp/{n}" for n in range(40))) for _ in range(1500)
    )
    read = KadMessage.decode(KadMessage(KadType.GET_PROVIDERS, providers=crowd).encode())
    assert len(read.providers) == 1024
    assert {len(one.addresses) for one in read.providers} == {16}
