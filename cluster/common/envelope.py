"""The signed envelope: bytes that a peer said for one purpose in one cluster, and its Ed25519 signature.

The signature covers a domain, which names the purpose, and the cluster's id. So nothing that was signed for
one cluster, or for one purpose, is valid in another.
"""

from __future__ import annotations

from dataclasses import dataclass

from cluster.common import wire
from cluster.errors import BadUpdate
from cluster.ports import Signer

_MAX_SIGNATURE = 128  # bytes


@dataclass(frozen=True, slots=True)
class Sealed:
    """What an envelope holds, not verified yet."""

    payload: bytes
    signature: bytes

    def is_by(self, author: str, domain: bytes, cluster_id: bytes, signer: Signer) -> bool:
        """Whether that peer signed it for this purpose in this cluster."""
        return signer.verify(author, domain + cluster_id + self.payload, self.signature)

    def verify(self, author: str, domain: bytes, cluster_id: bytes, signer: Signer) -> None:
        """Raises BadUpdate unless that peer signed it for this purpose in this cluster."""
        if not self.is_by(author, domain, cluster_id, signer):
            raise BadUpdate(f"it was not signed by {author} for this cluster")


def seal(payload: bytes, domain: bytes, cluster_id: bytes, signer: Signer) -> bytes:
    """The envelope of `payload`, signed by this node."""
    return wire.encode({"p": payload, "s": signer.sign(domain + cluster_id + payload)})


def open_sealed(envelope: bytes, limit: int, read: wire.Reader = wire.decode) -> Sealed:
    """What is inside, of an envelope of at most `limit` bytes. Raises BadUpdate."""
    fields = wire.Fields(read(envelope, limit))
    return Sealed(fields.data("p", limit), fields.data("s", _MAX_SIGNATURE))
