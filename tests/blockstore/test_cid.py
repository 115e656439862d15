from __future__ import annotations

import multiformats
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from multiformats import multibase

from blockstore import hashing
from blockstore.cid import CID, DAG_CBOR, DAG_PB, LIBP2P_KEY, RAW, SHA2_256
from blockstore.common import varint
from blockstore.errors import BadCid

# Bases that CIDs are written in (multibase table), by prefix letter.
BASES = {
    "b": "base32", "B": "base32upper", "c": "base32pad", "C": "base32padupper", "f": "base16",
    "F": "base16upper", "h": "base32z", "k": "base36", "K": "base36upper", "m": "base64", "t": "base32hexpad",
    "T": "base32hexpadupper", "u": "base64url", "U": "base64urlpad", "v": "base32hex", "V": "base32hexupper",
    "z": "base58btc", "Z": "base58flickr", "M": "base64pad", "0": "base2", "7": "base8", "9": "base10",
}  # fmt: skip
HASHES = ("sha1", "sha2-256", "sha2-512", "sha3-256", "blake2b-256", "blake3", "identity")
CODECS = st.sampled_from([RAW, DAG_PB, DAG_CBOR, LIBP2P_KEY, 0x0129, 0x0200])
ANY_CODEC = st.one_of(CODECS, st.integers(0, 2**63 - 1))


@st.composite
def cids_v1(draw: st.DrawFn, codecs: st.SearchStrategy[int] = ANY_CODEC) -> CID:
    data = draw(st.binary(max_size=40))
    return CID.v1(draw(codecs), hashing.multihash(data, draw(st.sampled_from(HASHES))))


CIDS = st.one_of(cids_v1(), st.binary(max_size=8).map(lambda data: CID.v0(hashing.multihash(data))))


@given(cid=CIDS)
def test_text_and_bytes_lead_back_to_the_cid(cid: CID) -> None:
    assert CID.parse(str(cid)) == cid
    assert CID.decode(bytes(cid)) == cid


@given(cid=cids_v1(CODECS))
def test_text_and_bytes_are_those_of_multiformats(cid: CID) -> None:
    theirs = multiformats.CID.decode(bytes(cid))
    assert str(theirs.set(base="base32")) == str(cid)
    assert bytes(theirs) == bytes(cid)
    assert (theirs.version, theirs.codec.code) == (1, cid.codec)
    assert (theirs.digest, theirs.raw_digest) == (cid.multihash, cid.digest)
    assert theirs.hashfun.code == cid.hash_code


@given(data=st.binary(max_size=64))
def test_version_0_is_that_of_multiformats(data: bytes) -> None:
    cid = CID.v0(hashing.multihash(data))
    theirs = multiformats.CID.decode(str(cid))
    assert (theirs.version, str(theirs), bytes(theirs)) == (0, str(cid), bytes(cid))
    assert str(cid).startswith("Qm")
    assert str(theirs.set(base="base32", version=1)) == str(cid.as_v1())


@pytest.mark.parametrize("prefix", BASES)
@given(cid=cids_v1(CODECS))
@settings(max_examples=15)
def test_every_base_is_read_as_multiformats_writes_it(prefix: str, cid: CID) -> None:
    text = multibase.encode(bytes(cid), BASES[prefix])
    if prefix == "7":
        text = text.rstrip("=")  # the table's base8 has no padding; multiformats pads it
    assert text.startswith(prefix)
    if len(text) > 512:
        with pytest.raises(BadCid, match="characters"):
            CID.parse(text)
        return
    assert CID.parse(text) == cid
    assert cid.in_base(prefix) == text


@given(cid=cids_v1(CODECS))
@settings(max_examples=15)
def test_a_base_that_only_the_table_has_is_read_too(cid: CID) -> None:
    text = multibase.encode(bytes(cid), "proquint")
    assert text.startswith("pro-")
    if len(text) <= 512:
        assert CID.parse(text) == cid


@given(cid=CIDS, behind=st.binary(max_size=10), before=st.binary(max_size=10))
def test_a_cid_is_read_from_the_middle_of_bytes(cid: CID, before: bytes, behind: bytes) -> None:
    data = before + bytes(cid) + behind
    for view in (data, memoryview(data)):
        assert CID.decode_prefix(view, len(before)) == (cid, len(before) + len(bytes(cid)))


@given(cid=CIDS)
def test_truncated_or_continued_bytes_are_refused(cid: CID) -> None:
    data = bytes(cid)
    for end in range(len(data)):
        with pytest.raises(BadCid):
            CID.decode(data[:end])
    with pytest.raises(BadCid, match="1 bytes behind"):
        CID.decode(data + b"\x00")


@given(data=st.binary(max_size=80), offset=st.integers(0, 90))
def test_any_bytes_are_a_cid_or_raise_bad_cid(data: bytes, offset: int) -> None:
    try:
        cid, end = CID.decode_prefix(data, offset)
    except BadCid:
        return
    assert end <= len(data)
    assert CID.decode(bytes(cid)) == cid


@given(
    text=st.one_of(
        st.text(max_size=80),
        st.from_regex(r"[bBzkfFmuQ9][a-zA-Z0-9+/=]{1,60}|pro-[abd-h-]{1,60}", fullmatch=True),
    )
)
@example(text="")
@example(text="b")
@example(text="Qm" + "0" * 44)
@example(text="Qm" + "é" * 44)
@example(text="b\x00")
@example(text="🚀" + "x" * 20)
@example(text="pro-")
@example(text="pro-bajij-damob")
@example(text="pro-bajij-damo-")
@example(text="\ud800")
@example(text="z" * 513)
def test_any_text_is_a_cid_or_raises_bad_cid(text: str) -> None:
    try:
        cid = CID.parse(text)
    except BadCid:
        return
    assert CID.parse(str(cid)) == cid


@given(cid=CIDS, position=st.integers(0, 100), letter=st.characters(codec="ascii"))
def test_mistyped_text_is_a_cid_or_raises_bad_cid(cid: CID, position: int, letter: str) -> None:
    text = str(cid)
    position %= len(text)
    try:
        CID.parse(text[:position] + letter + text[position + 1 :])
    except BadCid:
        return  # the one right error; any other fails the test


@given(cid=cids_v1(CODECS))
def test_numbers_that_are_not_in_their_shortest_form_are_refused(cid: CID) -> None:
    """The spec of unsigned-varint forbids them; accepted, they would give one block many names."""
    codec = varint.encode(cid.codec)
    longer = codec[:-1] + bytes([codec[-1] | 0x80, 0])
    with pytest.raises(BadCid):
        CID.decode(b"\x01" + longer + cid.multihash)


def test_version_0_has_no_multibase_prefix() -> None:
    cid = CID.v0(hashing.multihash(b""))
    with pytest.raises(BadCid, match="no multibase prefix"):
        CID.parse("z" + str(cid))


@pytest.mark.parametrize("version", [0, 2, 3, 18, 300])
def test_other_versions_are_refused(version: int) -> None:
    with pytest.raises(BadCid):
        CID.decode(varint.encode(version) + b"\x55" + hashing.multihash(b""))


def test_version_0_takes_nothing_but_sha2_256() -> None:
    for name in HASHES:
        if name != "sha2-256":
            with pytest.raises(BadCid, match="CIDv0"):
                CID.v0(hashing.multihash(b"", name))


@pytest.mark.parametrize(("code", "length"), [(SHA2_256, 33), (0x13, 129), (0, 129), (0, 2**40)])
def test_digests_beyond_their_bounds_are_refused(code: int, length: int) -> None:
    body = b"d" * min(length, 200)
    with pytest.raises(BadCid):
        CID.decode(b"\x01\x55" + varint.encode(code) + varint.encode(length) + body)


def test_identity_carries_up_to_128_bytes() -> None:
    cid = CID.identity(RAW, b"x" * 128)
    assert (cid.is_identity, cid.digest) == (True, b"x" * 128)
    assert CID.parse(str(cid)) == cid
    with pytest.raises(BadCid):
        CID.identity(RAW, b"x" * 129)
