"""What a cluster was founded with. It never changes; its hash names the cluster."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass

from blockstore.cid import CID
from cluster import wire
from cluster.errors import BadUpdate

DOCUMENT_BITS = 20
_MAX_BITS = 32


@dataclass(frozen=True, slots=True)
class Genesis:
    """Name, founder (trusted from the start), and into how many documents (2^bits) the pinset is cut."""

    name: str
    founder: str
    created: float  # seconds since 1970
    nonce: bytes
    document_bits: int = DOCUMENT_BITS

    @classmethod
    def decode(cls, data: bytes) -> Genesis:
        """Raises BadUpdate."""
        fields = wire.Fields.decode(data, 4096)
        return cls(
            name=fields.text("name", limit=255),
            founder=fields.text("founder", limit=128),
            created=fields.number("created"),
            nonce=fields.data("nonce", 32),
            document_bits=fields.integer("bits", high=_MAX_BITS),
        )

    def __bytes__(self) -> bytes:
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
        digest = hashlib.sha256(cid.digest).digest() if cid.is_identity else cid.digest
        return int.from_bytes(digest[:4].ljust(4, b"\0")) >> (_MAX_BITS - self.document_bits)


def found_cluster(name: str, founder: str, created: float, document_bits: int = DOCUMENT_BITS) -> Genesis:
    """A new cluster with that peer as first trusted member. Raises ValueError for a name that will not do."""
    genesis = Genesis(name, founder, float(created), secrets.token_bytes(16), document_bits)
    try:
        Genesis.decode(bytes(genesis))
    except BadUpdate as error:
        raise ValueError(f"cannot found a cluster: {error}") from None
    return genesis
