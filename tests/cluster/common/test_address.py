"""What a member may tell of where it is, and of how it is called."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.pinset_member import identity

from cluster.common import peer_id
from cluster.common.address import MAX_ADDRESSES, Address, check_dialable, dialable, is_public
from cluster.common.names import as_name
from cluster.errors import BadAddress

PEER = identity(1).peer_id
GOOD = [
    f"/ip4/192.0.2.7/tcp/9096/p2p/{PEER}",
    f"/ip6/2001:db8::1/tcp/1/p2p/{PEER}",
    f"/dns4/home.example.org/tcp/65535/p2p/{PEER}",
    f"/dns/{'a' * 63}.{'b' * 63}.xn--bcher-kva.example./tcp/80/p2p/{PEER}",
]
BAD_HOSTS = [
    "☃",
    "a" * 64,
    "a" * 70 + ".example.org",
    ".".join(["abcd"] * 60),
    "",
    ".",
    "a..b",
    "-a",
    "a-",
    "a b",
    "a\nb",
    "a\x1b[2Jb",
    "a\0b",
    "\udfff",
    "é" * 80,
    "bücher.example",
    "[::1]",
]


@pytest.mark.parametrize("text", GOOD)
def test_an_address_that_can_be_dialled_reads_and_writes_the_same(text: str) -> None:
    assert str(Address.parse(text)) == text
    check_dialable([text], PEER)


@pytest.mark.parametrize("kind", ["dns", "dns4", "dns6", "ip4", "ip6"])
@pytest.mark.parametrize("host", BAD_HOSTS)
def test_a_host_that_no_name_server_takes_is_no_address(kind: str, host: str) -> None:
    with pytest.raises(BadAddress):
        Address.parse(f"/{kind}/{host}/tcp/1/p2p/{PEER}")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        PEER,
        f"/p2p/{PEER}",
        f"/ip4/127.0.0.1/p2p/{PEER}",
        f"/ip4/127.0.0.1/tcp/p2p/{PEER}",
        f"/ip4/127.0.0.1/tcp/-1/p2p/{PEER}",
        f"/ip4/127.0.0.1/tcp/65536/p2p/{PEER}",
        f"/ip4/127.0.0.1/tcp/\u0661/p2p/{PEER}",
        f"/ip4/127.0.0.1/tcp/{'9' * 5000}/p2p/{PEER}",
        f"/ip4/١٢٧.0.0.1/tcp/1/p2p/{PEER}",
        f"/ip6/fe80::1%\x1b[31m/tcp/1/p2p/{PEER}",
        "/ip4/127.0.0.1/tcp/1/p2p/",
        "/ip4/127.0.0.1/tcp/1/p2p/not-a-peer",
        "/ip4/127.0.0.1/tcp/1/p2p/" + "1" * 60,
        f"/ip4/127.0.0.1/tcp/1/p2p/{PEER}/",
        f"/ip4/127.0.0.1/tcp/1/p2p/{PEER}\n",
        f" /ip4/127.0.0.1/tcp/1/p2p/{PEER}",
        f"/ip4/127.0.0.1/udp/1/quic-v1/p2p/{PEER}",
        f"/dns4/{'a.' * 5000}a/tcp/1/p2p/{PEER}",
    ],
)
def test_other_text_is_no_address_and_the_error_is_one_line(text: str) -> None:
    with pytest.raises(BadAddress) as caught:
        Address.parse(text)
    said = str(caught.value)
    assert said.isascii() or "…" in said
    assert said.isprintable()
    assert len(said) < 700


@given(st.text(max_size=80))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    for candidate in (
        text,
        f"/dns4/{text}/tcp/1",
        f"/ip4/1.2.3.4/tcp/{text}",
        f"/ip4/1.2.3.4/tcp/1/p2p/{text}",
    ):
        try:
            str(Address.parse(candidate)).encode("ascii")
        except BadAddress:
            continue


def test_addresses_of_another_peer_too_many_and_without_a_port_are_not_dialable() -> None:
    for addresses in (
        [GOOD[0].replace(PEER, identity(2).peer_id)],
        [f"/ip4/127.0.0.1/tcp/0/p2p/{PEER}"],
        ["/ip4/127.0.0.1/tcp/1"],
        GOOD[:1] * (MAX_ADDRESSES + 1),
        [*GOOD, "☃"],
    ):
        with pytest.raises(BadAddress):
            check_dialable(addresses, PEER)
    assert dialable(["☃", *GOOD, f"/ip4/127.0.0.1/tcp/0/p2p/{PEER}"], PEER) == tuple(GOOD)
    assert len(dialable(GOOD * 100, PEER)) == MAX_ADDRESSES


def test_a_peer_id_of_a_key_gives_the_key_and_back() -> None:
    assert peer_id.key_of(PEER) == identity(1).public
    assert peer_id.of_key(identity(1).public) == PEER
    with pytest.raises(BadAddress):
        peer_id.key_of("QmNotAKeyButAHash1111111111111111111111111111")


def test_a_name_keeps_what_is_seen() -> None:
    assert as_name("Müllers NAS 🗄️ №2") == "Müllers NAS 🗄️ №2"
    assert as_name("a\x1b[2Jb\nc\x9bd\u2028e\u202ef\udfffg") == "a[2Jbcdefg"
    assert len(as_name("x" * 1000)) == 255


@pytest.mark.parametrize(
    ("text", "public"),
    [
        ("/ip4/8.8.8.8/tcp/4001", True),
        ("/ip6/2606:4700::1/tcp/4001", True),
        ("/dns4/node.example.org/tcp/4001", True),
        ("/ip4/192.168.1.7/tcp/4001", False),
        ("/ip4/127.0.0.1/tcp/4001", False),
        ("/ip6/fe80::1/tcp/4001", False),
        ("/ip4/8.8.8.8/udp/4001/quic-v1", False),
    ],
)
def test_addresses_that_others_reach_from_anywhere_are_public(text: str, public: bool) -> None:
    assert is_public(text) is public
