"""Multiaddresses in binary and as text; vectors of multiformats/multiaddr and of py-multiaddr."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multiaddr import Multiaddr  # type: ignore[import-untyped]  # py-multiaddr ships no types

from node.multiaddress_bytes import BadMultiaddress, to_bytes, to_text

PEER = "12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5"
USUAL = [
    "/ip4/127.0.0.1/tcp/4001",
    f"/ip6/2001:db8::1/tcp/4001/p2p/{PEER}",
    "/ip4/192.0.2.7/udp/4001/quic-v1",
    "/dns4/example.org/tcp/443/wss",
    "/dnsaddr/bootstrap.example.org",
    f"/ip4/192.0.2.7/tcp/4001/p2p/{PEER}/p2p-circuit",
    "/dns/example.org/tcp/443/tls/http",
    "/ip4/192.0.2.7/udp/4001/webrtc-direct/certhash/uEiAkH5a4DPGKUuOBjYw0CgwjvcJCJMD2K_1aluKR_tpevQ",
]


@pytest.mark.parametrize("text", USUAL)
def test_usual_addresses_go_both_ways_as_elsewhere(text: str) -> None:
    assert to_bytes(text) == Multiaddr(text).to_bytes()
    assert to_text(to_bytes(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        *("", "/", "ip4/127.0.0.1", "/ip4", "/ip4/", "/ip4/1.2.3", "/ip4/1.2.3.4/tcp/65536", "/tcp/-1"),
        *("/ip4/1.2.3.4/tcp/٣", "/unix/a", "/dns4//tcp/1", "/dns4/a\nb/tcp/1", "/ip6/fe80::1%eth0"),
        *("/p2p/", "/p2p/0OIl"),
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(BadMultiaddress):
        to_bytes(text)


@given(st.binary(max_size=200))
def test_any_bytes_are_an_address_that_is_written_again_or_refused(data: bytes) -> None:
    try:
        text = to_text(data)
    except BadMultiaddress:
        return
    assert text.isprintable()
    assert to_text(to_bytes(text)) == text
