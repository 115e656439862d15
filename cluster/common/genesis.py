"""What a cluster was founded with. It never changes; its hash names the cluster."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass

from blockstore.cid import CID
from cluster.common import peer_id, wire
from cluster.common.names import MAX_NAME, as_name
from cluster.errors import BadAddress, BadUpdate

DOCUMENT_BITS = 20
MAX_NAME_BYTES = 20
"""Of a new cluster's name: an invitation, which holds it, is to stay short."""

_MAX_BITS = 32
_SHA2_256 = b"\x12\x20"  # as nearly all multihashes begin
_MAP, _LIST = 1, 2  # forms: a map, as clusters of the first version have it, or a list, which is half as long


@dataclass(frozen=True, slots=True)
class Genesis:
    """Name, founder (trusted from the start), and into how many documents (2^bits) the pinset is cut."""

    name: str
    founder: str
    created: float  # seconds since 1970
    nonce: bytes
    document_bits: int = DOCUMENT_BITS
    form: int = _LIST  # how it is written: the hash depends on it

    @classmethod
    def decode(cls, data: bytes, read: wire.Reader = wire.decode) -> Genesis:
        """Raises BadUpdate."""
        match read(data, 4096):
            case [str(name), bytes(key), int(created), bytes(nonce), int(bits)] if (
                len(key) == 32 and created >= 0 and len(nonce) <= 32 and 0 <= bits <= _MAX_BITS
            ):
                return cls(_checked(name), peer_id.of_key(key), float(created), nonce, bits)
            case value:
                return cls._from_map(wire.Fields(value))

    @classmethod
    def _from_map(cls, fields: wire.Fields) -> Genesis:
        return cls(
            name=fields.text("name", limit=MAX_NAME),
            founder=fields.text("founder", limit=128),
            created=fields.number("created"),
            nonce=fields.data("nonce", 32),
            document_bits=fields.integer("bits", high=_MAX_BITS),
            form=_MAP,
        )

    def __bytes__(self) -> bytes:
        if self.form == _LIST:
            key = peer_id.key_of(self.founder)
            return wire.encode([self.name, key, int(self.created), self.nonce, self.document_bits])
        return wire.encode(
            {
                "name": self.name,
                "founder": self.founder,
                "created": self.created,
                "nonce": self.nonce,
                "bits": self.document_bits,
            }
        )

    @property
    def cluster_id(self) -> bytes:
        """32 bytes that every signature covers: nothing of one cluster is valid in another."""
        return hashlib.sha256(b"pinfold genesis 1\0" + bytes(self)).digest()

    def document_of(self, cid: CID) -> int:
        """The number of the document that holds this CID: the first bits of its digest.

        Identity CIDs carry content instead of a digest, which would crowd few documents: it is hashed.
        """
        multihash = cid.multihash
        if multihash.startswith(_SHA2_256):
            return int.from_bytes(multihash[2:6]) >> (_MAX_BITS - self.document_bits)
        digest = hashlib.sha256(cid.digest).digest() if cid.is_identity else cid.digest
        return int.from_bytes(digest[:4].ljust(4, b"\0")) >> (_MAX_BITS - self.document_bits)


def found_cluster(name: str, founder: str, created: float, document_bits: int = DOCUMENT_BITS) -> Genesis:
    """A new cluster with that peer as first trusted member. Raises ValueError for a name that will not do."""
    genesis = Genesis(name, founder, float(int(created)), secrets.token_bytes(4), document_bits)
    try:
        Genesis.decode(bytes(genesis))
    except (BadUpdate, BadAddress) as error:
        raise ValueError(f"cannot found a cluster: {error}") from None
    return genesis


def _checked(name: str) -> str:
    if as_name(name) != name:
        raise BadUpdate("a cluster's name holds characters that no name has, or too many of them")
    return name
