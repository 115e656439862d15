from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multiaddr import Multiaddr  # type: ignore[import-untyped]  # py-multiaddr ships no types

from blockstore.errors import StorageFull
from node.p2p.errors import UndialableAddress
from node.p2p.peering.address_book import AddressBook
from node.p2p.swarm import multiaddress

A = "12D3KooWLBHiGSpTBDTMsPSEfNuV1i1jvhXvR5snyXReo57QGBH2"
B = "12D3KooWJYnpJJdYZHYjRiLKLfYCE9gxafZg3tVfdCcTsB3R9KSt"


@pytest.mark.parametrize(
    "text",
    [
        f"/ip4/127.0.0.1/tcp/4001/p2p/{A}",
        "/ip6/::1/tcp/0",
        f"/dns4/node.example/tcp/65535/p2p/{A}",
        "/dns/x/tcp/1/p2p/QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N",
    ],
)
def test_addresses_are_read_and_written_alike(text: str) -> None:
    assert str(multiaddress.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "/ip4/127.0.0.1",
        "/ip4/127.0.0.256/tcp/1",
        "/ip6/127.0.0.1/tcp/1",
        "/ip4/127.0.0.1/tcp/65536",
        "/ip4/127.0.0.1/tcp/-1",
        "/ip4/127.0.0.1/udp/1",
        f"/ip4/127.0.0.1/tcp/1/ipfs/{A}",
        f"/ip4/127.0.0.1/tcp/1/p2p/{A}x",
        "/ip4/127.0.0.1/tcp/1/p2p/",
        f"/ip4/127.0.0.1/tcp/1/p2p/{A}/p2p-circuit",
        "/dns4//tcp/1",
        "/ip4/127.0.0.1/tcp/" + "1" * 600,
        "/dns4/☃/tcp/1",
        f"/dns4/{'a' * 70}/tcp/1",
        f"/dns4/{'a.' * 130}a/tcp/1",
        "/dns/a..b/tcp/1",
        "/dns/a b/tcp/1",
        "/dns4/-a/tcp/1",
        "/dns4/a\0b/tcp/1",
        "/ip6/fe80::1%eth0/tcp/1",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(UndialableAddress):
        multiaddress.parse(text)


async def test_addresses_survive_a_restart_the_best_first(tmp_path: Path) -> None:
    path = tmp_path / "peers.json"
    book = AddressBook(path)
    book.learn(A, ["/ip4/10.0.0.1/tcp/1", "/ip4/10.0.0.2/tcp/2"])
    book.learn(A, ["/ip4/10.0.0.3/tcp/3"], first=True)
    book.learn(B, ["/ip6/::1/tcp/1"])
    book.want(A, True)
    await book.save()
    again = AddressBook(path)
    assert again.addresses(A) == tuple(f"/ip4/10.0.0.{n}/tcp/{n}/p2p/{A}" for n in (3, 1, 2))
    assert again.addresses(B) == (f"/ip6/::1/tcp/1/p2p/{B}",)
    assert again.wanted() == [A]


@pytest.mark.parametrize(
    "text",
    ["", "[1]", "{", "7", "null", '{"x": ', "[" * 100_000, "\0", '{"a": 1' * 1000],
    ids=lambda text: text[:6],
)
def test_a_damaged_file_is_said_and_not_used(
    text: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "peers.json"
    path.write_text(text)
    assert AddressBook(path).addresses(A) == ()
    assert "peers.json" in caplog.text


@pytest.mark.parametrize(
    "entry",
    [1, None, [], {}, {"addresses": 7}, {"addresses": ["/no"]}, {"addresses": [f"/dns4/{'a' * 70}/tcp/1"]}],
    ids=str,
)
def test_an_entry_that_is_none_costs_that_entry_only(
    entry: object, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "peers.json"
    good = {"addresses": ["/ip4/10.0.0.1/tcp/1", 8, "/ip4/10.0.0.2/tcp/1/p2p/x"], "wanted": True}
    path.write_text(json.dumps({B: entry, "☃": good, A: good}))
    book = AddressBook(path)
    assert book.addresses(A) == (f"/ip4/10.0.0.1/tcp/1/p2p/{A}",)
    assert book.wanted() == [A]
    assert "peers.json" in caplog.text


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=9),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.sampled_from([A, "addresses", "wanted", "x"]), inner)
        ),
    )
)
@settings(max_examples=25)
def test_any_json_is_a_book(found: object) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "peers.json"
        path.write_text(json.dumps(found))
        AddressBook(path)


@given(st.binary(max_size=80))
def test_any_bytes_are_an_address_or_refused(data: bytes) -> None:
    try:
        assert multiaddress.parse(str(multiaddress.from_bytes(data)))
    except UndialableAddress:
        return


@pytest.mark.parametrize(
    "text",
    [
        f"/ip4/127.0.0.1/tcp/4001/p2p/{A}",
        "/ip6/2001:db8::1/tcp/0",
        f"/dns4/node.example/tcp/65535/p2p/{A}",
        "/dns6/x/tcp/1",
        "/dns/x/tcp/1/p2p/QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N",
    ],
)
def test_binary_addresses_are_read_as_multiaddr_writes_them(text: str) -> None:
    data = Multiaddr(text).to_bytes()
    assert str(multiaddress.from_bytes(data)) == text
    for end in range(len(data)):
        try:
            assert str(multiaddress.from_bytes(data[:end])) in text
        except UndialableAddress:
            continue


def test_strangers_are_forgotten_before_the_book_is_full_and_wanted_peers_never() -> None:
    book = AddressBook()
    book.learn(A, ["/ip4/10.0.0.1/tcp/1"])
    book.want(A, True)
    peers = [f"peer{n}" for n in range(2000)]
    for peer in peers:
        book.learn(peer, [f"/ip4/10.0.0.1/tcp/{n}" for n in range(50)])
    assert book.addresses(A)
    assert not book.addresses(peers[0])
    assert len(book.addresses(peers[-1])) == 8


async def test_a_folder_that_cannot_be_written_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    book = AddressBook(tmp_path / "absent" / "peers.json")
    book.learn(A, ["/ip4/10.0.0.1/tcp/1"])
    await book.save()
    assert "could not be kept" in caplog.text


async def test_who_is_wanted_is_on_the_disk_when_that_was_asked_for(tmp_path: Path) -> None:
    book = AddressBook(tmp_path / "peers.json")
    book.learn(A, [f"/ip4/127.0.0.1/tcp/4001/p2p/{A}"])
    book.want(A, True)
    await book.save_durably()
    assert AddressBook(tmp_path / "peers.json").wanted() == [A]
    (tmp_path / "file").write_text("")
    homeless = AddressBook(tmp_path / "file" / "peers.json")
    homeless.learn(A, ["/ip4/127.0.0.1/tcp/4001"])
    with pytest.raises(StorageFull, match=r"cannot write .*peers\.json"):
        await homeless.save_durably()
