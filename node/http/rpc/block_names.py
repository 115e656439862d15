"""How block/put names its blocks: `cid-codec`, `mhtype`, `mhlen`, and the older `format`, as in Kubo."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from blockstore.block import Block
from blockstore.errors import BadCid, UnknownCodec, UnknownHash
from blockstore.ipld.multicodecs import code_of
from node.http.errors import BadRequest
from node.http.go import query_values

_OLD_NAMES = {"v0": "dag-pb", "protobuf": "dag-pb", "cbor": "dag-cbor"}


@dataclass(frozen=True, slots=True)
class BlockNames:
    """Version, codec and hash of the CIDs; a digest of None bytes is as long as the function makes it."""

    version: int
    codec: int
    hash_name: str
    digest_bytes: int | None

    @classmethod
    def of(cls, query: Mapping[str, str]) -> BlockNames:
        """Raises BadRequest."""
        size = query_values.integer(query, "mhlen", -1)
        hash_name = query.get("mhtype") or "sha2-256"
        version, codec = _version_and_codec(query.get("format", ""), query.get("cid-codec", ""))
        if version == 0 and (hash_name != "sha2-256" or (size >= 0 and size != 32)):
            raise BadRequest("format=v0 goes with mhtype=sha2-256 and mhlen=32 alone")
        try:
            return cls(version, code_of(codec), hash_name, size if size >= 0 else None)
        except UnknownCodec as error:
            raise BadRequest(str(error)) from None

    def name(self, data: bytes) -> Block:
        """Raises BadRequest."""
        try:
            return Block.of(
                data,
                self.codec,
                hash_name=self.hash_name,
                version=self.version,
                digest_bytes=self.digest_bytes,
            )
        except (BadCid, UnknownHash) as error:
            raise BadRequest(f"mhtype or mhlen invalid: {error}") from None


def _version_and_codec(format_: str, codec: str) -> tuple[int, str]:
    if not format_:
        return 1, codec or "raw"
    if codec not in ("", "raw"):
        raise BadRequest('unable to use "format" (deprecated) and a custom "cid-codec" at the same time')
    return (0 if format_ == "v0" else 1), _OLD_NAMES.get(format_, format_)
