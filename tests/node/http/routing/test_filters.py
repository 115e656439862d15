"""IPIP-484: which addresses stay, and which providers go."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.http.errors import BadRequest
from node.http.routing.filters import ProviderFilter
from node.routing.router import Provider

TCP = "/ip4/192.0.2.1/tcp/4001"
QUIC = "/ip4/192.0.2.1/udp/4001/quic-v1"
WSS = "/dns4/tcp/tcp/443/tls/ws"  # a host called "tcp" is none of its protocols
RELAY = f"{TCP}/p2p/12D3KooWRelay/p2p-circuit"
HTTP = "/dns4/gw.example.org/tcp/443/tls/http"
ALL = (TCP, QUIC, WSS, RELAY, HTTP)


def left(addresses: Sequence[str], text: str, protocols: Sequence[str] = ()) -> tuple[str, ...] | None:
    made = ProviderFilter.of({"filter-addrs": text})(Provider("p", tuple(addresses), tuple(protocols)))
    return None if made is None else made.addresses


@pytest.mark.parametrize(
    ("text", "stay"),
    [
        ("", ALL),
        ("tcp", (TCP, WSS, RELAY, HTTP)),
        ("udp", (QUIC,)),
        ("QUIC-V1", (QUIC,)),
        ("ws", (WSS,)),
        ("!p2p-circuit", (TCP, QUIC, WSS, HTTP)),
        ("tcp,!p2p-circuit,!tls", (TCP,)),
        ("http,quic-v1", (QUIC, HTTP)),
        ("dns4", (WSS, HTTP)),
        ("unknown,tcp", (TCP, WSS, RELAY, HTTP)),
    ],
)
def test_addresses_are_chosen_by_their_protocols(text: str, stay: Sequence[str]) -> None:
    assert left(ALL, text) == tuple(stay)


def test_a_provider_without_a_fitting_address_goes() -> None:
    assert left((TCP,), "udp") is None
    assert left((), "tcp") is None
    assert left((), "unknown") == ()
    assert left((), "") == ()
    assert left((TCP,), "nosuch") is None
    assert left(("/unix/tmp/tcp",), "tcp") is None


@pytest.mark.parametrize(
    ("has", "text", "stays"),
    [
        (("transport-bitswap",), "transport-bitswap", True),
        (("transport-bitswap",), "Transport-Bitswap,unknown", True),
        (("transport-bitswap",), "transport-graphsync-filecoinv1", False),
        (("transport-bitswap",), "unknown", False),
        ((), "unknown", True),
        ((), "transport-bitswap", False),
        ((), "", True),
    ],
)
def test_providers_are_chosen_by_how_they_give(has: Sequence[str], text: str, stays: bool) -> None:
    found = ProviderFilter.of({"filter-protocols": text})(Provider("p", (TCP,), tuple(has)))
    assert (found is not None) == stays


def test_a_filter_is_bounded() -> None:
    for text in ("x," * 100, "x" * 3000):
        with pytest.raises(BadRequest, match="filter-addrs"):
            ProviderFilter.of({"filter-addrs": text})


@given(st.text(max_size=200), st.lists(st.text("/ip4tcp!,", max_size=40), max_size=5))
def test_whatever_is_asked_an_address_is_kept_or_left_out(text: str, addresses: list[str]) -> None:
    """Invariant: what is left is a part of what was there, in its order."""
    stay = left(addresses, text)
    assert stay is None or [one for one in addresses if one in stay] == [*stay]
