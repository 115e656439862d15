"""CIDs that others published for known content: IPIP-499's vectors, Kubo's documentation and tests."""

from __future__ import annotations

from typing import TypedDict, Unpack

import pytest
from support.importing import file, keystream, keystream_names, pieces, root_of

from blockstore.cid import CID, RAW
from blockstore.errors import BadCid
from blockstore.unixfs.importing.entries import SourceDirectory, SourceFile
from blockstore.unixfs.importing.options import ImportFlags, ImportOptions, resolve

V0, V1_2025 = "unixfs-v0-2015", "unixfs-v1-2025"


class Flags(TypedDict, total=False):
    """Those fields of ImportFlags that are varied here."""

    cid_version: int
    raw_leaves: bool
    hamt_threshold: int
    mode: int
    mtime: int


def kubo(**flags: Unpack[Flags]) -> ImportOptions:
    return resolve(V0, ImportFlags(**flags))


@pytest.mark.parametrize(
    ("content", "options", "cid"),
    [
        (b"hello world", kubo(), "Qmf412jQZiuVUtdgnB36FXFX7xg5V6KEbSJ4dpQuhkLyfD"),
        (b"hello world", resolve(V1_2025), "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"),
        (
            b"hello world",
            kubo(cid_version=1, raw_leaves=False),
            "bafybeihykld7uyxzogax6vgyvag42y7464eywpf55gxi5qpoisibh3c5wa",
        ),
        (b"", kubo(), "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH"),
        (b"", kubo(cid_version=1), "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"),
        (b"Hello Worlds!\n", kubo(), "QmVr26fY1tKyspEJBniVhqxQeEjhF78XerGiqWAwraVLQH"),
        (b"", kubo(mode=0o764), "QmchD3BN8TQ3RW6jPLxSaNkqvfuj7syKhzTRmL4EpyY1Nz"),
    ],
)
async def test_small_files_have_their_published_cids(
    content: bytes, options: ImportOptions, cid: str
) -> None:
    assert await root_of([file("f", content)], options) == cid


@pytest.mark.parametrize(
    ("options", "cid"),
    [
        (kubo(), "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn"),
        (kubo(cid_version=1), "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354"),
    ],
)
async def test_an_empty_folder_has_its_published_cid(options: ImportOptions, cid: str) -> None:
    assert await root_of([SourceDirectory("d")], options) == cid


@pytest.mark.parametrize(
    ("seed", "size", "profile", "cid"),
    [
        ("chunk-v0-seed", 262144, V0, "QmWmRj3dFDZdb6ABvbmKhEL6TmPbAfBZ1t5BxsEyJrcZhE"),
        ("chunk-v0-seed", 262145, V0, "QmYyLxtzZyW22zpoVAtKANLRHpDjZtNeDjQdJrcQNWoRkJ"),
        (
            "chunk-v1-seed",
            1048576,
            V1_2025,
            "bafkreiacndfy443ter6qr2tmbbdhadvxxheowwf75s6zehscklu6ezxmta",
        ),
    ],
)
async def test_files_around_the_chunk_size_have_their_published_cids(
    seed: str, size: int, profile: str, cid: str
) -> None:
    assert await root_of([file("f", *keystream(seed, size, 65536))], resolve(profile)) == cid


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "cid"),
    [
        (1 << 30, "bafybeihmf37wcuvtx4hpu7he5zl5qaf2ineo2lqlfrapokkm5zzw7zyhvm"),
        ((1 << 30) + 1, "bafybeibdsi225ugbkmpbdohnxioyab6jsqrmkts3twhpvfnzp77xtzpyhe"),
    ],
)
async def test_files_around_the_width_of_one_node_have_their_published_cids(size: int, cid: str) -> None:
    entry = SourceFile("f", pieces(keystream("v1-2025-seed", size)))
    assert await root_of([entry], resolve(V1_2025)) == cid


async def test_a_folder_at_the_links_threshold_stays_flat() -> None:
    names = keystream_names("hamt-unixfs-v0-2015", [30] * 4096)
    entries = [file(f"d/{name}", b"x") for name in names]
    assert await root_of(entries, resolve(V0)) == "QmX5GtRk3TSSEHtdrykgqm4eqMEn3n2XhfkFAis5fjyZmN"


async def test_a_folder_at_the_block_threshold_stays_flat() -> None:
    names = keystream_names("hamt-unixfs-v1-2025", [11] * 4765 + [21])
    entries = [file(f"d/{name}", b"x") for name in names]
    flat = "bafybeic3h7rwruealwxkacabdy45jivq2crwz6bufb5ljwupn36gicplx4"
    assert await root_of(entries, resolve(V1_2025)) == flat


@pytest.mark.parametrize(
    ("threshold", "cid"),
    [
        (1 << 30, "QmavrTrQG4VhoJmantURAYuw3bowq3E2WcvP36NRQDAC1N"),
        (1, "QmSCJD1KYLhVVHqBK3YyXuoEqHt7vggyJhzoFYbT8v1XYL"),
    ],
)
async def test_two_thousand_files_flat_and_sharded_have_their_published_cids(
    threshold: int, cid: str
) -> None:
    entries = [file(f"d/file{n}", b"%d\n" % n) for n in range(1, 2001)]
    assert await root_of(entries, kubo(hamt_threshold=threshold)) == cid


@pytest.mark.parametrize(
    ("options", "cid"),
    [
        (kubo(), "QmWSgS32xQEcXMeqd3YPJLrNBLSdsfYCep2U7CFkyrjXwY"),
        (kubo(raw_leaves=True), "QmfWfQfKCY5Ukv9peBbxM5vqWM9BzmqUSXvdCgjT2wsiBT"),
        (kubo(cid_version=1), "bafybeih7e5dmkyk25up5vxug4q3hrg2fxbzf23dfrac2fns5h7z4aa7ioi"),
        (
            kubo(cid_version=1, raw_leaves=False),
            "bafybeif5tuep5ap2d7zyhbktucey75aoacxufgt6i3v4gebmixyipnyp7y",
        ),
    ],
)
async def test_a_folder_of_two_planets_has_its_published_cids(options: ImportOptions, cid: str) -> None:
    entries = [file("d/venus.txt", b"Hello Venus!\n"), file("d/mars.txt", b"Hello Mars!\n")]
    assert await root_of(entries, options) == cid


def test_an_identity_cid_holds_128_bytes_and_no_more() -> None:
    assert CID.identity(RAW, b"B" * 128).digest == b"B" * 128
    with pytest.raises(BadCid):
        CID.identity(RAW, b"A" * 129)
