from __future__ import annotations

from pathlib import Path

import pytest

from node.identity import Identity
from node.p2p import address
from node.p2p.book import AddressBook
from node.p2p.errors import BadAddress

A, B = Identity.generate().peer_id, Identity.generate().peer_id


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
    assert str(address.parse(text)) == text


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
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(BadAddress):
        address.parse(text)


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


async def test_a_damaged_file_is_said_and_not_used(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "peers.json"
    for text in (
        "",
        "[1]",
        '{"x": 1}',
        f'{{"{A}": {{"addresses": ["/no"]}}}}',
        f'{{"{A}": {{"addresses": 7}}}}',
    ):
        caplog.clear()
        path.write_text(text)
        assert AddressBook(path).addresses(A) == ()
        assert "peers.json" in caplog.text


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
