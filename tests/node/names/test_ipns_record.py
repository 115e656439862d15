"""IPNS records: what verifies, what does not, which one counts (specs: ipns-record)."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypedDict, Unpack

import cbrrr
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from support.ipns import RecordFields, signed_record

from blockstore.cid import CID
from blockstore.common import protobuf
from node.datadir.identity import Identity
from node.names.errors import BadName, BadRecord
from node.names.ipns_record import MAX_BYTES, verify
from node.names.name import IpnsName

FIXTURES = Path(__file__).parents[4] / "shared" / "fixtures" / "gateway"
IDENTITY = Identity.from_seed(bytes(range(32)))
NAME = IpnsName.parse(IDENTITY.peer_id)
TARGET = "/ipfs/bafkqaddwgevxmmraojswg33smq"
NOW = 1_800_000_000.0
BAD = ("_v1", "_v1-v2-broken-v1-value", "_v1-v2-broken-signature-v2")


class Changes(TypedDict, total=False):
    """What of RecordFields is to be otherwise."""

    value: str
    expires: float
    sequence: int
    v1: bool


def made(**changes: Unpack[Changes]) -> bytes:
    fields = RecordFields(TARGET, NOW + 3600, sequence=3)
    return signed_record(IDENTITY, replace(fields, **changes))


def fields(data: bytes) -> dict[int, protobuf.Value]:
    return dict(protobuf.values(data))


def message(parts: Mapping[int, protobuf.Value]) -> bytes:
    return b"".join(protobuf.field(number, part) for number, part in sorted(parts.items()))


def signed_part(outer: Mapping[int, protobuf.Value]) -> bytes:
    part = outer[9]
    assert isinstance(part, bytes)
    return part


def resigned(outer: dict[int, protobuf.Value], **document: cbrrr.DagCborTypes) -> dict[int, protobuf.Value]:
    """The record with other signed fields, under a good signature; None leaves a field out."""
    before = cbrrr.decode_dag_cbor(signed_part(outer))
    assert isinstance(before, dict)
    signed = {**before, **document}
    data = cbrrr.encode_dag_cbor({name: value for name, value in signed.items() if value is not None})
    return {**outer, 9: data, 8: IDENTITY.sign(b"ipns-signature:" + data)}


@pytest.mark.parametrize("v1", [True, False])
def test_a_record_is_read_as_it_was_made(v1: bool) -> None:
    record = verify(NAME, made(v1=v1), NOW)
    assert (record.value, record.sequence, record.expires, record.ttl) == (TARGET, 3, NOW + 3600, 60)
    assert str(record.target) == TARGET


def test_a_broken_v1_signature_does_not_matter() -> None:
    outer = fields(made())
    assert verify(NAME, message({**outer, 2: bytes(64)}), NOW).sequence == 3


@pytest.mark.parametrize("field", [8, 9])
def test_v1_alone_is_not_accepted(field: int) -> None:
    outer = fields(made())
    del outer[field]
    with pytest.raises(BadRecord, match="V1 alone is not accepted"):
        verify(NAME, message(outer), NOW)


@pytest.mark.parametrize(
    ("field", "value"),
    [(1, b"/ipfs/bafkqaaa"), (3, 1), (4, b"2100-01-01T00:00:00Z"), (5, 4), (6, 1), (4, b""), (5, 0)],
)
def test_v1_fields_must_say_what_is_signed(field: int, value: protobuf.Value) -> None:
    with pytest.raises(BadRecord, match="another in what is signed"):
        verify(NAME, message({**fields(made()), field: value}), NOW)


def test_v1_fields_that_are_zero_may_be_left_out() -> None:
    outer = fields(made(sequence=0))
    del outer[5]
    del outer[3]
    assert verify(NAME, message(outer), NOW).sequence == 0


def test_a_record_of_another_name_does_not_verify() -> None:
    other = IpnsName.parse(Identity.from_seed(bytes(32)).peer_id)
    with pytest.raises(BadRecord, match="signature"):
        verify(other, made(), NOW)


def test_a_record_ends_at_its_end() -> None:
    assert verify(NAME, made(expires=NOW + 1), NOW)
    with pytest.raises(BadRecord, match="expired at 2027-01-15T08:00:00"):
        verify(NAME, made(expires=NOW), NOW)


def test_nanoseconds_and_offsets_are_read() -> None:
    outer = resigned(fields(made(v1=False)), Validity=b"2027-01-15T10:00:00.123456789+01:00")
    assert verify(NAME, message(outer), NOW).expires == pytest.approx(
        datetime(2027, 1, 15, 9, 0, 0, 123456, UTC).timestamp()
    )


@pytest.mark.parametrize(
    "document",
    [
        {"Validity": b"tomorrow"},
        {"Validity": b"0000-01-01T00:00:00Z"},
        {"Validity": None},
        {"Validity": "2100-01-01T00:00:00Z"},
        {"ValidityType": 1},
        {"ValidityType": False},
        {"Value": None},
        {"Value": "text"},
        {"Value": b"\xff"},
        {"Sequence": None},
        {"Sequence": "3"},
        {"TTL": "60"},
    ],
)
def test_signed_nonsense_is_refused(document: dict[str, cbrrr.DagCborTypes]) -> None:
    with pytest.raises(BadRecord):
        verify(NAME, message(resigned(fields(made(v1=False)), **document)), NOW)


def test_a_signed_document_that_is_no_map_is_refused() -> None:
    for data in (b"", b"\x80", b"\xa1", b"\x81" * 5000):
        outer = {9: data, 8: IDENTITY.sign(b"ipns-signature:" + data)}
        with pytest.raises(BadRecord):
            verify(NAME, message(outer), NOW)


def test_a_negative_ttl_is_none_at_all() -> None:
    assert verify(NAME, message(resigned(fields(made(v1=False)), TTL=-1)), NOW).ttl == 0
    assert verify(NAME, message(resigned(fields(made(v1=False)), TTL=None)), NOW).ttl is None


def test_a_record_has_at_most_ten_kibibytes() -> None:
    assert verify(NAME, message({**fields(made()), 15: bytes(8000)}), NOW)
    with pytest.raises(BadRecord, match="above 10240"):
        verify(NAME, message({**fields(made()), 15: bytes(MAX_BYTES)}), NOW)


def test_the_greater_sequence_counts_and_then_the_later_end() -> None:
    def order(**changes: Unpack[Changes]) -> tuple[int, float]:
        return verify(NAME, made(**changes), NOW).order

    assert order(sequence=4, expires=NOW + 1) > order(sequence=3, expires=NOW + 9)
    assert order(expires=NOW + 9) > order(expires=NOW + 1)


def test_a_record_may_lead_to_another_name_but_not_anywhere() -> None:
    assert str(verify(NAME, made(value="/ipns/EN.example.org./a"), NOW).target) == "/ipns/en.example.org/a"
    with pytest.raises(BadRecord, match="leads nowhere"):
        _ = verify(NAME, made(value="https://example.org"), NOW).target


def der(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


ForeignKey = tuple[int, bytes, Callable[[bytes], bytes]]
"""The kind of a key, its public bytes, and what signs with it."""


def rsa_key() -> ForeignKey:
    key = rsa.generate_private_key(65537, 2048)
    return 0, der(key), lambda data: key.sign(data, padding.PKCS1v15(), hashes.SHA256())


def secp256k1_key() -> ForeignKey:
    key = ec.generate_private_key(ec.SECP256K1())
    point = key.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    return 2, point, lambda data: key.sign(data, ec.ECDSA(hashes.SHA256()))


def ecdsa_key() -> ForeignKey:
    key = ec.generate_private_key(ec.SECP256R1())
    return 3, der(key), lambda data: key.sign(data, ec.ECDSA(hashes.SHA256()))


@pytest.mark.parametrize("make", [rsa_key, secp256k1_key, ecdsa_key])
def test_keys_of_other_kinds_verify_too(make: Callable[[], ForeignKey]) -> None:
    kind, data, sign = make()
    public = protobuf.field(1, kind) + protobuf.field(2, data)
    inline = len(public) <= 42
    multihash = bytes([0, len(public)]) + public if inline else b"\x12\x20" + hashlib.sha256(public).digest()
    name = IpnsName(multihash)
    outer = fields(made(v1=False))
    outer[8] = sign(b"ipns-signature:" + signed_part(outer))
    if not inline:
        with pytest.raises(BadRecord, match="lacks the public key"):
            verify(name, message(outer), NOW)
        with pytest.raises(BadRecord, match="not the one of the name"):
            verify(name, message({**outer, 7: IDENTITY.public_protobuf}), NOW)
        outer[7] = public
    assert verify(name, message(outer), NOW).value == TARGET
    with pytest.raises(BadRecord, match="signature"):
        verify(name, message({**outer, 8: sign(b"another")}), NOW)


def test_a_short_rsa_key_is_refused() -> None:
    key = rsa.generate_private_key(65537, 1024)
    public = protobuf.field(1, 0) + protobuf.field(2, der(key))
    name = IpnsName(b"\x12\x20" + hashlib.sha256(public).digest())
    with pytest.raises(BadRecord, match="too short"):
        verify(name, message({**fields(made()), 7: public}), NOW)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_record_or_refused(data: bytes) -> None:
    with pytest.raises(BadRecord):
        verify(NAME, data, NOW)


@given(st.integers(0, 500), st.binary(max_size=12))
def test_a_record_that_was_tampered_with_is_refused_or_says_the_same(position: int, patch: bytes) -> None:
    good = made()
    data = good[:position] + patch + good[position + len(patch) :]
    try:
        record = verify(NAME, data, NOW)
    except BadRecord:
        return
    assert replace(record, raw=good) == verify(NAME, good, NOW)


@given(st.binary(max_size=60))
def test_any_key_bytes_are_a_key_or_refused(data: bytes) -> None:
    name = IpnsName(b"\x12\x20" + hashlib.sha256(data).digest())
    with pytest.raises(BadRecord):
        verify(name, message({**fields(made()), 7: data}), NOW)


@pytest.mark.skipif(
    not FIXTURES.exists(), reason="the conformance suite's data files are not on this machine"
)
def test_of_the_conformance_records_the_three_bad_ones_are_refused() -> None:
    files = sorted(FIXTURES.rglob("*.ipns-record"))
    assert len(files) == 12
    refused = set()
    for file in files:
        name = IpnsName.parse(file.stem.partition("_")[0])
        try:
            verify(name, file.read_bytes(), NOW)
        except BadRecord:
            refused.add(file.stem.removeprefix(file.stem.partition("_")[0]))
    assert refused == set(BAD)


def test_a_name_is_read_in_every_form_and_written_in_one() -> None:
    key = IDENTITY.peer_id
    canonical = str(NAME)
    assert canonical.startswith("k51qzi5uqu5d")
    forms = [key, canonical, str(NAME.cid), NAME.cid.in_base("f"), CID.v1(0x70, NAME.multihash).in_base("b")]
    assert {str(IpnsName.parse(form)) for form in forms} == {canonical}
    assert NAME.peer_id == key


@pytest.mark.parametrize("text", ["", "1", "Qm", "k51", "bafkqaaa", "example.org", "1" * 200, "12D3KooW0"])
def test_what_names_no_key_is_refused(text: str) -> None:
    with pytest.raises(BadName):
        IpnsName.parse(text)
