"""IPNS records: read, verified, compared (specs: ipns-record).

Only what the V2 signature covers counts. V1 fields may be there for old readers and then must say the same.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeGuard

from blockstore.block import Block
from blockstore.cid import DAG_CBOR
from blockstore.common import protobuf
from blockstore.errors import BlockstoreError
from blockstore.ipld import codecs
from blockstore.ipld.codecs import Value
from node.names import keys
from node.names.errors import BadName, BadRecord
from node.names.name import IpnsName, Target, parse_target

MAX_BYTES = 10 * 1024
_PREFIX = b"ipns-signature:"
_VALUE, _SIGNATURE_1, _VALIDITY_TYPE, _VALIDITY, _SEQUENCE, _TTL, _PUBLIC_KEY, _SIGNATURE_2, _DATA = range(
    1, 10
)
# Field of the outer message -> its name in the signed document.
_SIGNED = {
    _VALUE: "Value",
    _VALIDITY_TYPE: "ValidityType",
    _VALIDITY: "Validity",
    _SEQUENCE: "Sequence",
    _TTL: "TTL",
}
_EOL = 0
_TIME = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")
_FAR = datetime.max.replace(tzinfo=UTC).timestamp()

Fields = dict[int, protobuf.Value]
Document = dict[str, Value]


@dataclass(frozen=True, slots=True)
class IpnsRecord:
    """A verified record. `expires` in seconds since 1970; `ttl` in seconds, None where it says nothing."""

    value: str
    sequence: int
    expires: float
    ttl: float | None
    raw: bytes = field(repr=False)

    @property
    def order(self) -> tuple[int, float]:
        """The record of the greater one counts."""
        return self.sequence, self.expires

    @property
    def target(self) -> Target:
        """Where it leads. Raises BadRecord."""
        try:
            return parse_target(self.value)
        except (BadName, BlockstoreError) as error:
            raise BadRecord(f"the record leads nowhere: {error}") from None


def verify(name: IpnsName, data: bytes, now: float) -> IpnsRecord:
    """Read the bytes of a record of that name. Raises BadRecord, also when it has expired at `now`."""
    record = read(name, data)
    if record.expires <= now:
        raise BadRecord(f"the record of {name} expired at {_shown(record.expires)}")
    return record


def read(name: IpnsName, data: bytes) -> IpnsRecord:
    """As `verify`, expired or not. Raises BadRecord."""
    outer = _outer(data)
    signature, document = outer.get(_SIGNATURE_2), outer.get(_DATA)
    if not isinstance(signature, bytes) or not isinstance(document, bytes):
        raise BadRecord(f"the record of {name} has no V2 signature: V1 alone is not accepted")
    embedded = outer.get(_PUBLIC_KEY, b"")
    key = keys.decode(name.public_key(embedded if isinstance(embedded, bytes) else b""))
    if not keys.verifies(key, _PREFIX + document, signature):
        raise BadRecord(f"the V2 signature of the record of {name} is wrong")
    signed = _document(document)
    _agree(outer, signed)
    return _record(signed, data)


def _outer(data: bytes) -> Fields:
    if len(data) > MAX_BYTES:
        raise BadRecord(f"a record of {len(data)} bytes is above {MAX_BYTES}")
    try:
        return dict(protobuf.values(data))
    except ValueError as error:
        raise BadRecord(f"not an IPNS record: {error}") from None


def _document(data: bytes) -> Document:
    try:
        document = codecs.decode_strict(Block.of(data, DAG_CBOR))
    except BlockstoreError as error:
        raise BadRecord(f"the signed data of the record is not dag-cbor: {error}") from None
    if not isinstance(document, dict):
        raise BadRecord("the signed data of the record is not a map")
    return document


def _agree(outer: Fields, signed: Document) -> None:
    """V1 fields, where a record has any, must equal the signed ones."""
    if not outer.get(_SIGNATURE_1) and not outer.get(_VALUE):
        return
    for number, name in _SIGNED.items():
        expected = signed.get(name)
        absent: protobuf.Value = b"" if isinstance(expected, bytes) else 0
        if outer.get(number, absent) != (absent if expected is None else expected):
            raise BadRecord(f"the record says one {name} in its V1 fields and another in what is signed")


def _record(signed: Document, raw: bytes) -> IpnsRecord:
    value, sequence, ttl = signed.get("Value"), signed.get("Sequence"), signed.get("TTL")
    validity = signed.get("Validity")
    if signed.get("ValidityType") != _EOL or isinstance(signed.get("ValidityType"), bool):
        raise BadRecord("the record's validity is of an unknown type")
    if not isinstance(value, bytes) or not isinstance(validity, bytes) or not _is_integer(sequence):
        raise BadRecord("the record lacks its value, its sequence or its end, or one is of another type")
    if ttl is not None and not _is_integer(ttl):
        raise BadRecord("the record's TTL is not a number")
    try:
        text = value.decode()
    except UnicodeDecodeError:
        raise BadRecord("the record's value is not text") from None
    seconds = None if ttl is None else max(0.0, ttl / 1e9)
    return IpnsRecord(text, sequence, _seconds(validity), seconds, raw)


def _is_integer(value: Value) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _seconds(text: bytes) -> float:
    """RFC 3339, nanoseconds cut to what a float holds."""
    if not _TIME.fullmatch(text):
        raise BadRecord(f"the record's end {text[:64]!r} is not a time")
    try:
        return datetime.fromisoformat(text.decode()).timestamp()
    except (ValueError, OverflowError):
        raise BadRecord(f"the record's end {text[:64]!r} is not a time") from None


def _shown(seconds: float) -> str:
    return datetime.fromtimestamp(min(seconds, _FAR), UTC).isoformat(timespec="seconds")
