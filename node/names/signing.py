"""IPNS records made (specs: ipns-record): signed in V2, and in V1 for old readers where that is wanted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import cbrrr

from blockstore.common import protobuf
from node.datadir.private_key import PrivateKey
from node.names.errors import BadRecord
from node.names.ipns_record import MAX_BYTES
from node.names.name import IpnsName

MAX_SEQUENCE = 2**63 - 1  # the largest that Go reads from the signed data
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
_EOL = 0
_V2_PREFIX = b"ipns-signature:"


@dataclass(frozen=True, slots=True)
class RecordContent:
    """What a record says. `expires` in seconds since 1970, `ttl` in seconds; `v1`: for old readers too."""

    value: str
    sequence: int
    expires: float
    ttl: float
    v1: bool = True


def name_of(key: PrivateKey) -> IpnsName:
    """The name whose records that key signs."""
    return IpnsName(key.multihash)


def signed(key: PrivateKey, content: RecordContent) -> bytes:
    """The bytes of the record. Raises BadRecord where it becomes too long, or no sequence is left."""
    if not 0 <= content.sequence <= MAX_SEQUENCE:
        raise BadRecord(f"a record's sequence goes from 0 to {MAX_SEQUENCE}, and this is {content.sequence}")
    value, ends, ttl = content.value.encode(), _end(content.expires), round(content.ttl * 1e9)
    fields: dict[str, cbrrr.DagCborTypes] = {
        "Value": value,
        "Validity": ends,
        "ValidityType": _EOL,
        "Sequence": content.sequence,
        "TTL": ttl,
    }
    document = bytes(cbrrr.encode_dag_cbor(fields))
    outer: dict[int, protobuf.Value] = {8: key.sign(_V2_PREFIX + document), 9: document}
    if content.v1:
        outer |= {1: value, 2: key.sign(value + ends + b"EOL"), 3: _EOL, 4: ends, 5: content.sequence, 6: ttl}
    if not name_of(key).cid.is_identity:
        outer[7] = key.public
    record = b"".join(protobuf.field(number, outer[number]) for number in sorted(outer))
    if len(record) > MAX_BYTES:
        raise BadRecord(f"a record of {len(record)} bytes is above {MAX_BYTES}: the path in it is too long")
    return record


def _end(expires: float) -> bytes:
    """RFC 3339 to the microsecond; no later than the last year that it can write."""
    latest = (_LAST - _EPOCH).total_seconds()
    moment = _EPOCH + timedelta(seconds=min(expires, latest))
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ").encode()
