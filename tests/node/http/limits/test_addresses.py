"""Whose request it is: addresses as proxies report them, and strangers invent them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.http.limits.addresses import TrustedProxies, key_of, parse

PROXIES = TrustedProxies(("127.0.0.0/8", "::1", "10.0.0.0/8"))


@pytest.mark.parametrize(
    ("remote", "forwarded", "client"),
    [
        ("192.0.2.1", "", "192.0.2.1"),
        ("192.0.2.1", "203.0.113.9", "192.0.2.1"),
        ("127.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("::1", "203.0.113.9", "203.0.113.9"),
        ("127.0.0.1", "198.51.100.7, 203.0.113.9, 10.1.2.3", "203.0.113.9"),
        ("127.0.0.1", "10.9.9.9,10.1.2.3", "10.9.9.9"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "unknown", "127.0.0.1"),
        ("127.0.0.1", "203.0.113.9, unknown, 10.1.2.3", "10.1.2.3"),
        ("127.0.0.1", "203.0.113.9:4711", "203.0.113.9"),
        ("127.0.0.1", '"[2001:db8::1]:4711"', "127.0.0.1"),
        ("127.0.0.1", "[2001:db8::1]:4711", "2001:db8::1"),
        ("::ffff:192.0.2.1", "", "192.0.2.1"),
        ("::ffff:127.0.0.1", "::ffff:203.0.113.9", "203.0.113.9"),
    ],
)
def test_the_client_is_the_last_address_that_is_no_trusted_proxy(
    remote: str, forwarded: str, client: str
) -> None:
    assert str(PROXIES.client(remote, forwarded)) == client


def test_only_so_many_hops_are_followed() -> None:
    assert str(PROXIES.client("127.0.0.1", "203.0.113.9," + "10.0.0.1," * 50 + "10.0.0.2")) == "10.0.0.1"


def test_a_client_is_an_ipv4_address_or_a_network_of_ipv6() -> None:
    same, other = parse("2001:db8:1:2::1"), parse("2001:db8:1:3::1")
    assert key_of(same) == key_of(parse("2001:db8:1:2:ffff::9")) != key_of(other)
    assert key_of(parse("192.0.2.1")) == key_of(parse("::ffff:192.0.2.1")) != key_of(parse("192.0.2.2"))
    assert key_of(None) == b""


@given(st.text(max_size=200), st.text(max_size=200))
def test_any_text_is_some_client_or_none(remote: str, forwarded: str) -> None:
    assert len(key_of(PROXIES.client(remote, forwarded))) in (0, 4, 8)
