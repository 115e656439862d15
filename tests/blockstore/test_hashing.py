from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multiformats import multihash as oracle

from blockstore import hashing
from blockstore.block import Block
from blockstore.cid import CID, DAG_PB, RAW, SHA2_256
from blockstore.common import varint
from blockstore.errors import BadCid, HashMismatch, UnknownHash

DOUBLE = "dbl-sha2-256"  # multiformats names it without computing it
NAMES = sorted(hashing.FUNCTIONS)


# Of no bytes (Ethereum's yellow paper; the Keccak team's test vectors).
KECCAK = {
    "keccak-256": "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470",
    "keccak-512": "0eab42de4c3ceb9235fc91acffe746b29c29a8c366b7c60e4e67c466f36a4304"
    "c00fa9caf9d87976ba469bcbe06713b435f091ef2769fb160cdab33d3670680e",
}


@pytest.mark.parametrize("name", [name for name in NAMES if name not in (DOUBLE, *KECCAK)])
def test_multihashes_are_those_of_multiformats(name: str) -> None:
    for data in (b"", b"pinfold", bytes(1000)):
        size = 32 if name == "blake3" else None
        assert hashing.multihash(data, name) == oracle.digest(data, name, size=size)


@pytest.mark.parametrize(("name", "digest"), KECCAK.items())
def test_keccak_is_not_what_became_of_it(name: str, digest: str) -> None:
    assert hashing.multihash(b"", name)[2:].hex() == digest
    assert oracle.get(name).code == hashing.FUNCTIONS[name][0]


def test_the_double_hash_is_the_hash_of_the_hash() -> None:
    once = hashing.multihash(b"pinfold")[2:]
    assert hashing.multihash(b"pinfold", DOUBLE)[2:] == hashing.multihash(once)[2:]
    assert oracle.get(DOUBLE).code == hashing.FUNCTIONS[DOUBLE][0]


@pytest.mark.parametrize("name", NAMES)
@given(data=st.binary(min_size=1, max_size=100), bit=st.integers(0, 10_000))
@settings(max_examples=5)
def test_bytes_match_their_hash_and_no_changed_bytes_do(name: str, data: bytes, bit: int) -> None:
    expected = hashing.multihash(data, name)
    changed = bytearray(data)
    changed[bit // 8 % len(data)] ^= 1 << bit % 8
    assert hashing.matches(expected, data)
    assert not hashing.matches(expected, bytes(changed))


@pytest.mark.parametrize(
    ("length", "accepted"), [(0, False), (8, False), (19, False), (20, True), (31, True)]
)
def test_cut_digests_match_from_20_bytes_on(length: int, accepted: bool) -> None:
    cut = b"\x12" + bytes([length]) + hashing.multihash(b"data")[2 : 2 + length]
    assert hashing.matches(cut, b"data") is accepted


@given(expected=st.binary(max_size=50), data=st.binary(max_size=10))
def test_any_multihash_is_judged_or_refused_with_our_errors(expected: bytes, data: bytes) -> None:
    try:
        assert hashing.matches(expected, data) in {True, False}
    except (UnknownHash, BadCid):
        return  # the right errors; any other fails the test


def test_unknown_functions_are_named() -> None:
    with pytest.raises(UnknownHash, match='"md4"'):
        hashing.multihash(b"", "md4")
    with pytest.raises(UnknownHash, match="0xd4"):
        hashing.matches(varint.encode(0xD4) + b"\x10" + bytes(16), b"")


def test_a_block_is_named_by_its_bytes() -> None:
    block = Block.of(b"hello world")
    assert block.cid.digest.hex() == "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9"
    assert (block.cid.version, block.cid.codec, block.cid.hash_code) == (1, RAW, SHA2_256)
    assert Block.of(b"x", version=0).cid.version == 0
    assert Block.of(b"x", DAG_PB, version=0).cid == CID.v0(hashing.multihash(b"x"))
    assert Block.of(b"x", hash_name="blake3").cid.hash_code == 0x1E
    with pytest.raises(BadCid):
        Block.of(b"x", hash_name="sha1", version=0)
    assert repr(block) == f"<Block {block.cid} 11 bytes>"


def test_foreign_bytes_become_a_block_only_under_their_own_name() -> None:
    block = Block.of(b"hello world")
    assert Block.verify(block.cid, b"hello world") == block
    with pytest.raises(HashMismatch, match=f"{block.cid}.*from a peer"):
        Block.verify(block.cid, b"hello werld", "a peer")


def test_only_identity_cids_are_their_own_block() -> None:
    assert Block.inline(CID.identity(RAW, b"me")).data == b"me"
    with pytest.raises(BadCid):
        Block.inline(Block.of(b"me").cid)
    with pytest.raises(BadCid):
        Block.inline(CID.v1(RAW, b"\x00" + varint.encode(129) + bytes(129)))
