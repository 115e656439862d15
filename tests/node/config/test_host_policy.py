"""Entries of `gateway.hosts`: a host, and the words that are different there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.config.host_policy import BadHostPolicy, HostPolicy, read_hosts

STRICT = HostPolicy(trustless=True, fetch=False, only_pinned=True, dnslink=False)


def test_words_change_what_holds_for_all_hosts_both_ways() -> None:
    found = read_hosts(
        ("open.example.org deserialized fetch any-content dnslink", "same.example.org"), STRICT
    )
    assert found == {"open.example.org": HostPolicy(), "same.example.org": STRICT}
    assert read_hosts(("x trustless no-fetch only-pinned no-dnslink",), HostPolicy()) == {"x": STRICT}


def test_case_and_spaces_do_not_matter() -> None:
    assert read_hosts(("  GW.Example.org   Trustless ",), HostPolicy()) == {
        "gw.example.org": HostPolicy(trustless=True)
    }


def test_addresses_are_hosts_too() -> None:
    found = read_hosts(("127.0.0.1 no-fetch", "[::1] no-fetch"), HostPolicy())
    assert set(found) == {"127.0.0.1", "[::1]"}


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        (("",), "is no host name"),
        (("https://x",), "is no host name"),
        (("x:8080 fetch",), "is no host name"),
        (("x truthless",), 'x: "truthless" is none of trustless, deserialized'),
        (("x fetch no-fetch",), 'x: "no-fetch" contradicts another word'),
        (("x fetch", "X no-fetch"), "x is there twice"),
    ],
)
def test_what_does_not_read_is_told(entries: tuple[str, ...], reason: str) -> None:
    with pytest.raises(BadHostPolicy, match=reason):
        read_hosts(entries, HostPolicy())


@given(st.lists(st.text(max_size=40), max_size=3))
def test_any_text_is_policies_or_told(entries: list[str]) -> None:
    try:
        found = read_hosts(tuple(entries), HostPolicy())
    except BadHostPolicy:
        return
    assert len(found) == len(entries)
