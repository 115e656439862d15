"""What only the tables know: names of hash functions that are not computed here, and a base that few have."""

from __future__ import annotations

import pytest

from blockstore import hashing
from blockstore.cid import CID
from blockstore.common.multiformats_tables import codes, decode_base, hash_name
from blockstore.errors import BadCid, UnknownHash


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (0x22, "murmur3-x64-64 (0x22)"),
        (0xD5, "md5 (0xd5)"),
        (0x12, "sha2-256 (0x12)"),
        (0x7F7F7F, "0x7f7f7f"),
    ],
)
def test_a_hash_function_is_told_as_the_table_has_it(code: int, name: str) -> None:
    assert hash_name(code) == name


def test_a_block_that_cannot_be_verified_says_by_which_function() -> None:
    cid = CID.decode(b"\x01\x55\xd5\x01\x10" + b"m" * 16)
    with pytest.raises(UnknownHash, match=r"^hash function md5 \(0xd5\) is unknown, so the block cannot"):
        hashing.check_known(cid.multihash)
    assert not hashing.is_known(cid.multihash)


def test_functions_of_ours_have_the_names_and_codes_of_the_table() -> None:
    for name, (code, _) in hashing.FUNCTIONS.items():
        assert codes()[name] == code


def test_proquint_is_read() -> None:
    assert decode_base("pro-bajij-damob-dahid") == bytes.fromhex("015512201111")
    with pytest.raises(BadCid, match="truncated"):
        CID.parse("pro-bajij-damob-dahid")


@pytest.mark.parametrize("text", ["", "?", "pro-", "pro-a", "pro--", "🚀x", "x" * 100])
def test_what_is_in_no_base_is_a_value_error_or_no_bytes(text: str) -> None:
    try:
        assert decode_base(text) == b""
    except ValueError:
        return
