"""IPNS records as other programs make them, and keys made from a number (specs: ipns-record)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

import cbrrr

from blockstore.common import protobuf
from node.datadir.identity import Identity
from node.names.name import IpnsName


@dataclass(frozen=True, slots=True)
class RecordFields:
    """`expires` in seconds since 1970, `ttl` in seconds; `v1` adds the fields for old readers."""

    value: str
    expires: float
    sequence: int = 1
    ttl: float = 60.0
    v1: bool = True


def signed_record(identity: Identity, fields: RecordFields) -> bytes:
    """The bytes of a record of that key."""
    value, ttl = fields.value.encode(), int(fields.ttl * 1e9)
    end = datetime.fromtimestamp(fields.expires, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ").encode()
    signed: dict[str, cbrrr.DagCborTypes] = {
        "Value": value,
        "ValidityType": 0,
        "Validity": end,
        "Sequence": fields.sequence,
        "TTL": ttl,
    }
    document = bytes(cbrrr.encode_dag_cbor(signed))
    outer: dict[int, protobuf.Value] = {8: identity.sign(b"ipns-signature:" + document), 9: document}
    if fields.v1:
        outer |= {1: value, 2: identity.sign(value + end + b"EOL"), 3: 0, 4: end, 5: fields.sequence, 6: ttl}
    return b"".join(protobuf.field(number, outer[number]) for number in sorted(outer))


class Key:
    """Signs records of its own name."""

    def __init__(self, number: int) -> None:
        self.identity = Identity.from_seed(hashlib.sha256(b"ipns %d" % number).digest())
        self.name = IpnsName.parse(self.identity.peer_id)

    def record(self, value: str, expires: float, *, sequence: int = 1, ttl: float = 60.0) -> bytes:
        return signed_record(self.identity, RecordFields(value, expires, sequence, ttl))
