"""CID: the name of a block. Parse, print, compare (multiformats/cid, IPIP-0512 for identity bounds)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import libipld

from blockstore.common import multiformats_tables, varint
from blockstore.errors import BadCid

RAW = 0x55
DAG_PB = 0x70
DAG_CBOR = 0x71
LIBP2P_KEY = 0x72
GIT_RAW = 0x78
DAG_JOSE = 0x85
DAG_JSON = 0x0129
JSON = 0x0200
CBOR = 0x51

IDENTITY = 0x00
SHA2_256 = 0x12

MAX_IDENTITY_BYTES = 128
_MAX_DIGEST_BYTES = 128
_MAX_TEXT = 512
_CARRIED = tuple(bytes((IDENTITY, max(0, length - 4))) for length in range(132))
"""Of a CID of that length which carries its content: the head of its multihash."""
_COMMON_PREFIXES = frozenset(bytes([1, codec, SHA2_256, 32]) for codec in (RAW, DAG_PB, DAG_CBOR))


@dataclass(frozen=True, slots=True)
class CID:
    """Version, codec and multihash: equal when all three are. The base it was written in is not kept."""

    version: int
    codec: int
    multihash: bytes

    @classmethod
    def v0(cls, multihash: bytes) -> CID:
        """A CIDv0: dag-pb under a sha2-256 of 32 bytes, nothing else. Raises BadCid."""
        if len(multihash) != 34 or multihash[:2] != b"\x12\x20":
            raise BadCid("CIDv0 needs a 32-byte sha2-256 multihash")
        return cls(0, DAG_PB, multihash)

    @classmethod
    def v1(cls, codec: int, multihash: bytes) -> CID:
        return cls(1, codec, multihash)

    @classmethod
    def identity(cls, codec: int, data: bytes) -> CID:
        """A CID that carries its bytes (at most 128). Raises BadCid."""
        return cls.decode(b"\x01" + varint.encode(codec) + b"\x00" + varint.encode(len(data)) + data)

    @classmethod
    def decode(cls, data: bytes, *, loose: bool = False) -> CID:
        """From binary form; whole, unless `loose` passes over bytes behind it. Raises BadCid."""
        if len(data) == 36 and data[:4] in _COMMON_PREFIXES:
            return cls(1, data[1], data[2:])  # nearly every link there is: several times faster than parsing
        if len(data) == 34 and data[:2] == b"\x12\x20":
            return cls(0, DAG_PB, data)
        if len(data) < 132 and data[2:4] == _CARRIED[len(data)] and data[0] == 1 and data[1] < 0x80:
            return cls(1, data[1], data[2:])  # its content, of at most 127 bytes
        cid, end = cls.decode_prefix(data)
        if end != len(data) and not loose:
            raise BadCid(f"{len(data) - end} bytes behind the CID")
        return cid

    @classmethod
    def decode_prefix(cls, data: bytes | memoryview, offset: int = 0) -> tuple[CID, int]:
        """From binary form at `offset`; returns the CID and the offset behind it. Raises BadCid."""
        try:
            if bytes(data[offset : offset + 2]) == b"\x12\x20":
                return cls.v0(bytes(data[offset : offset + 34])), offset + 34
            version, position = varint.decode_shortest(data, offset)
            codec, position = varint.decode_shortest(data, position)
            if version != 1:
                raise BadCid(f"CID version {version} is unknown")
            end = _multihash_end(data, position)
        except ValueError as error:
            raise BadCid(f"invalid CID bytes: {error}") from None
        return cls(1, codec, bytes(data[position:end])), end

    @classmethod
    def parse(cls, text: str) -> CID:
        """From text in any multibase, or base58btc for CIDv0. Raises BadCid."""
        if not text or len(text) > _MAX_TEXT:
            raise BadCid(f"invalid CID: {len(text)} characters")
        try:
            if len(text) == 46 and text.startswith("Qm"):
                return cls.v0(libipld.decode_multibase("z" + text)[1])
            cid = cls.decode(_of_base(text))
        except UnicodeEncodeError:
            raise BadCid(f'invalid CID "{text}": it is not UTF-8') from None
        except (ValueError, OverflowError) as error:
            raise BadCid(f'invalid CID "{text}": {error}') from None
        if cid.version == 0:
            raise BadCid(f'invalid CID "{text}": a CIDv0 has no multibase prefix')
        return cid

    def __hash__(self) -> int:
        return hash(self.multihash)  # bytes keep theirs; other versions and codecs of a hash are rare

    def __bytes__(self) -> bytes:
        return self.multihash if self.version == 0 else _prefix(self.codec) + self.multihash

    def __str__(self) -> str:
        return _text(bytes(self))

    def __repr__(self) -> str:
        return f"CID({self})"

    def in_base(self, prefix: str) -> str:
        """Text of the CIDv1 form in the multibase of that prefix letter, such as "k" for base36."""
        return str(libipld.encode_multibase(prefix, bytes(self.as_v1())))

    def as_v1(self) -> CID:
        return self if self.version == 1 else CID(1, self.codec, self.multihash)

    @property
    def hash_code(self) -> int:
        """Code of the hash function in the multiformats table."""
        return varint.decode(self.multihash)[0]

    @property
    def digest(self) -> bytes:
        if max(self.multihash[:2], default=0x80) < 0x80:  # code and length of a byte each
            return self.multihash[2:]
        _, position = varint.decode(self.multihash)
        return self.multihash[varint.decode(self.multihash, position)[1] :]

    @property
    def is_identity(self) -> bool:
        return self.multihash[:1] == b"\x00"


@lru_cache(maxsize=64)
def _prefix(codec: int) -> bytes:
    return b"\x01" + varint.encode(codec)


def _of_base(text: str) -> bytes:
    if text.startswith(multiformats_tables.RARE_BASES):
        return multiformats_tables.decode_base(text)
    return bytes(libipld.decode_multibase(text)[1])


def _text(data: bytes) -> str:
    if len(data) == 34 and data[:2] == b"\x12\x20":
        return str(libipld.encode_multibase("z", data))[1:]
    return str(libipld.encode_multibase("b", data))


def _multihash_end(data: bytes | memoryview, start: int) -> int:
    code, position = varint.decode_shortest(data, start)
    length, position = varint.decode_shortest(data, position)
    if length > _MAX_DIGEST_BYTES:
        raise BadCid(f"digest of {length} bytes is above {_MAX_DIGEST_BYTES}")
    if code == SHA2_256 and length > 32:
        raise BadCid("sha2-256 digest is longer than 32 bytes")
    if position + length > len(data):
        raise BadCid("multihash is truncated")
    return position + length
