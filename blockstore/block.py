"""Block: bytes with the CID they really hash to."""

from __future__ import annotations

from dataclasses import dataclass

from blockstore import hashing
from blockstore.cid import CID, MAX_IDENTITY_BYTES, RAW
from blockstore.common import varint
from blockstore.errors import BadCid, HashMismatch

MAX_BLOCK_BYTES = 2 * 1024 * 1024  # what Bitswap peers accept (specs: bitswap, block sizes)


@dataclass(frozen=True, slots=True)
class Block:
    """One that exists is valid: made by hashing (`of`) or by verifying (`verify`), nowhere else."""

    cid: CID
    data: bytes

    @classmethod
    def of(
        cls,
        data: bytes,
        codec: int = RAW,
        *,
        hash_name: str = "sha2-256",
        version: int = 1,
        digest_bytes: int | None = None,
    ) -> Block:
        """Name these bytes by hashing them; the digest may be cut. Raises UnknownHash.

        Raises BadCid where CIDv0 cannot express it, for a digest of no use, and for what is too long to lie
        in its CID.
        """
        multihash = hashing.multihash(data, hash_name, digest_bytes)
        if multihash[:1] == b"\x00" and len(data) > MAX_IDENTITY_BYTES:
            raise BadCid(f"{len(data)} bytes are too long for an identity CID: at most {MAX_IDENTITY_BYTES}")
        return cls(CID.v0(multihash) if version == 0 else CID(1, codec, multihash), data)

    @classmethod
    def verify(cls, cid: CID, data: bytes, source: str = "") -> Block:
        """Bytes that came from elsewhere under that CID. Raises HashMismatch, UnknownHash."""
        if not hashing.matches(cid.multihash, data):
            raise HashMismatch(cid, source)
        return cls(cid, data)

    @classmethod
    def inline(cls, cid: CID) -> Block:
        """The block that an identity CID carries in itself. Raises BadCid."""
        _, position = varint.decode(cid.multihash)
        _, position = varint.decode(cid.multihash, position)
        data = cid.multihash[position:]
        if not cid.is_identity or len(data) > MAX_IDENTITY_BYTES:
            raise BadCid(f"{cid} is not an identity CID of at most {MAX_IDENTITY_BYTES} bytes")
        return cls(cid, data)

    def __repr__(self) -> str:
        return f"<Block {self.cid} {len(self.data)} bytes>"
