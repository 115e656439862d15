"""What hosts stand for, and the labels that roots have on them: no look-ups."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blockstore.cid import CID, DAG_PB, LIBP2P_KEY, RAW
from node.config.host_policy import HostPolicy
from node.http.errors import BadRequest
from node.http.gateway.hosts import labels
from node.http.gateway.hosts.hosts import ForeignHost, GatewayHost, Hosts, PathHost, Subdomain
from node.http.gateway.hosts.mount import Mount
from node.names.name import DomainName

POLICY = HostPolicy()
HOSTS = Hosts(("localhost", "gw.example.org"), POLICY, {})


@pytest.mark.parametrize(
    ("authority", "host"),
    [
        ("127.0.0.1:8080", PathHost()),
        ("[::1]:8080", PathHost()),
        ("[::1]", PathHost()),
        ("", PathHost()),
        ("machine", PathHost()),
        ("localhost:8080", GatewayHost("localhost:8080", "localhost")),
        ("LocalHost", GatewayHost("LocalHost", "localhost")),
        ("bafy.ipfs.localhost:8080", Subdomain("bafy", "ipfs", "localhost:8080")),
        ("QmAb.IPFS.gw.example.org", Subdomain("QmAb", "ipfs", "gw.example.org")),
        ("en.wiki.example.com.ipns.localhost", Subdomain("en.wiki.example.com", "ipns", "localhost")),
        ("other.gw.example.org", ForeignHost("other.gw.example.org")),
        ("example.com:80", ForeignHost("example.com")),
        ("example.com.", ForeignHost("example.com")),
        ("xipfs.localhost", ForeignHost("xipfs.localhost")),
    ],
)
def test_a_host_stands_for_a_gateway_its_subdomain_a_name_or_plain_paths(
    authority: str, host: object
) -> None:
    assert HOSTS.classify(authority) == host


def test_without_dnslink_no_name_is_ever_looked_up() -> None:
    policy = HostPolicy(dnslink=False)
    hosts = Hosts(("localhost",), policy, {})
    for name in ("example.com", "x.localhost"):
        assert hosts.classify(name) == PathHost(Mount(policy=policy))


def test_a_policy_holds_for_its_host_and_below_it_the_longest_name_first() -> None:
    policies = {
        "gw.example.org": HostPolicy(trustless=True),
        "example.org": HostPolicy(fetch=False),
        "site.example.org": HostPolicy(only_pinned=True),
        "127.0.0.1": HostPolicy(dnslink=False),
    }
    hosts = Hosts(("localhost", "gw.example.org"), POLICY, policies)
    for authority, policy in {
        "gw.example.org:8080": policies["gw.example.org"],
        "bafy.ipfs.GW.example.org": policies["gw.example.org"],
        "xgw.example.org": policies["example.org"],
        "a.site.example.org.": policies["site.example.org"],
        "127.0.0.1:8080": policies["127.0.0.1"],
        "org": POLICY,
        "localhost": POLICY,
        "": POLICY,
    }.items():
        assert hosts.classify(authority).paths.policy == policy


def test_a_subdomain_belongs_to_the_longest_of_hosts_that_lie_below_each_other() -> None:
    nested = ["a.b.c.d.e.f", "b.c.d.e.f", "c.d.e.f", "d.e.f", "e.f", "f"]
    hosts = Hosts((*nested[3:], *nested[:3]), POLICY, {})
    for host in nested:
        assert hosts.classify(f"x.ipfs.{host}:80") == Subdomain(
            "x", "ipfs", f"{host}:80", Mount(policy=POLICY)
        )


def test_a_host_longer_than_any_name_has_its_policy_and_is_not_remembered() -> None:
    hosts = Hosts((), POLICY, {"example.org": HostPolicy(fetch=False)})
    assert not hosts.classify("a." * 500 + "example.org").paths.policy.fetch


@given(st.text(max_size=300))
def test_any_host_header_stands_for_something(authority: str) -> None:
    assert isinstance(HOSTS.classify(authority), PathHost | GatewayHost | Subdomain | ForeignHost)


def test_a_cid_is_one_label_in_base32_or_where_that_is_too_long_in_base36() -> None:
    short = CID.v1(DAG_PB, b"\x12\x20" + bytes(32))
    assert labels.of_cid(CID.v0(short.multihash)) == str(short)
    longer = CID.v1(LIBP2P_KEY, b"\x00\x24" + bytes(36))
    assert labels.of_cid(longer) == longer.in_base("k")
    with pytest.raises(BadRequest, match="CID incompatible with DNS label length limit of 63"):
        labels.of_cid(CID.v1(RAW, b"\x13\x40" + bytes(64)))


NAMES = st.from_regex(
    r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?){1,3}", fullmatch=True
)


@given(NAMES)
def test_an_inlined_name_is_one_label_that_says_the_name(text: str) -> None:
    label = labels.inlined(DomainName(text))
    assert "." not in label
    assert labels.uninlined(label) == text
