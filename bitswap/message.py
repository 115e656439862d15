"""A Bitswap message as values: wants, blocks and presences."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

from bitswap.errors import BadMessage
from blockstore.block import Block
from blockstore.cid import CID
from blockstore.common import varint

PROTOCOL_1_2 = "/ipfs/bitswap/1.2.0"
PROTOCOL_1_1 = "/ipfs/bitswap/1.1.0"
PROTOCOL_1_0 = "/ipfs/bitswap/1.0.0"
PROTOCOLS = (PROTOCOL_1_2, PROTOCOL_1_1, PROTOCOL_1_0)

V0_PREFIX = b"\x00\x70\x12\x20"


class WantType(IntEnum):
    BLOCK = 0
    HAVE = 1


@dataclass(frozen=True, slots=True)
class WantlistEntry:
    """One line of a wantlist: a want, or with `cancel` the end of one. Higher priority is served first."""

    cid: CID
    type: WantType = WantType.BLOCK
    priority: int = 1
    cancel: bool = False
    send_dont_have: bool = False


@dataclass(frozen=True, slots=True)
class Presence:
    """HAVE or DONT_HAVE."""

    cid: CID
    have: bool


@dataclass(frozen=True, slots=True)
class Payload:
    """A block as it travels: the CID without its digest, and bytes that are not hashed yet."""

    prefix: bytes
    data: bytes

    @classmethod
    def of(cls, block: Block) -> Payload:
        return cls(prefix_of(block.cid), block.data)


@dataclass(frozen=True, slots=True)
class Message:
    """`full`: the entries replace the wantlist, else change it. `pending_bytes`: blocks still queued."""

    entries: tuple[WantlistEntry, ...] = ()
    full: bool = False
    payloads: tuple[Payload, ...] = ()
    presences: tuple[Presence, ...] = ()
    pending_bytes: int = 0

    def __bool__(self) -> bool:
        return bool(self.entries or self.full or self.payloads or self.presences)

    def __repr__(self) -> str:
        size = sum(len(payload.data) for payload in self.payloads)
        return (
            f"<Message {len(self.entries)} wants{' (full)' if self.full else ''}, {len(self.payloads)} "
            f"blocks of {size} bytes, {len(self.presences)} presences, {self.pending_bytes} bytes pending>"
        )


def prefix_of(cid: CID) -> bytes:
    """Version, codec, hash function and digest length, each a varint."""
    if cid.version == 0:
        return V0_PREFIX
    if cid.multihash[:2] == b"\x12\x20" and cid.codec < 0x80:
        return bytes((1, cid.codec, 0x12, 0x20))
    _, position = varint.decode(cid.multihash)
    _, position = varint.decode(cid.multihash, position)
    return b"\x01" + varint.encode(cid.codec) + cid.multihash[:position]


@lru_cache(maxsize=256)
def parse_prefix(prefix: bytes) -> tuple[int, int]:
    """Hash function code and digest length of a block's prefix. Raises BadMessage."""
    try:
        version, position = varint.decode(prefix)
        _, position = varint.decode(prefix, position)
        code, position = varint.decode(prefix, position)
        length, position = varint.decode(prefix, position)
    except ValueError as error:
        raise BadMessage(f"invalid block prefix: {error}") from None
    if version > 1 or position != len(prefix):
        raise BadMessage("invalid block prefix")
    return code, length
