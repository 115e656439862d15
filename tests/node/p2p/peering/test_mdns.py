from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.p2p_networks import SETTINGS, networks, until_peer

from node.p2p.peering.mdns import addresses_in, service_of, text_of

PORTS = st.integers(0, 65535)


@given(
    st.lists(
        st.builds("/ip4/10.0.0.{}/tcp/{}/p2p/{}".format, PORTS, PORTS, st.text("aZ9", max_size=52)),
        max_size=5,
    )
)
def test_addresses_go_through_the_txt_record(addresses: list[str]) -> None:
    assert addresses_in(text_of(addresses)) == addresses


@given(st.binary(max_size=300))
def test_any_txt_record_is_read(text: bytes) -> None:
    assert all(isinstance(entry, str) for entry in addresses_in(text))


def test_a_private_network_is_announced_under_a_name_of_its_own() -> None:
    assert service_of(SETTINGS) == "_p2p._udp.local."
    one, other = (service_of(replace(SETTINGS, psk=bytes([n]) * 32)) for n in (1, 2))
    assert one != other
    assert all(len(name.split(".")[0]) <= 16 for name in (one, other))  # RFC 6763: 15 characters and "_"


@pytest.mark.slow  # and needs a loopback interface that carries multicast
async def test_peers_on_one_machine_find_each_other() -> None:
    private = replace(SETTINGS, mdns=True, psk=b"m" * 32)
    async with networks(2, private) as (_, (a, b)):
        await until_peer(a, b.self_id)
        await until_peer(b, a.self_id)
