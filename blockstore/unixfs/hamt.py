"""HAMT directories: how names are hashed, how shards are read (specs: UNIXFS, "HAMT Directory")."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import mmh3

from blockstore.errors import BadBlock
from blockstore.ipld.dag_pb import PBLink, PBNode
from blockstore.unixfs.data import MURMUR3_X64_64, UnixFSData

MAX_FANOUT = 1024

_HASH_BITS = 64


def hash_value(name: str) -> int:
    """64 bits: murmur3-x64-128 of the name with seed 0, its first half."""
    first: int = mmh3.mmh3_x64_128_utupledigest(name.encode("utf-8", "surrogateescape"))[0]
    return first


@lru_cache
def _written(fanout: int) -> tuple[str, ...]:
    """Every bucket as it stands in front of names."""
    digits = (fanout.bit_length() + 2) // 4
    return tuple(f"{index:0{digits}X}" for index in range(fanout))


@dataclass(frozen=True, slots=True)
class Shard:
    """One node of a HAMT; `level` 0 is the root.

    A link's name is its bucket in hex and then the entry's name; the bucket alone leads one level down.
    """

    links: tuple[PBLink, ...]
    fanout: int
    level: int
    digits: int
    """Characters of the bucket in front of each link's name."""

    @classmethod
    def of(cls, node: PBNode, data: UnixFSData, level: int) -> Shard:
        """Check a node's parameters. Raises BadBlock."""
        fanout = data.fanout or 0
        if data.hash_type != MURMUR3_X64_64:
            raise BadBlock(f"sharded directory uses hash function 0x{data.hash_type or 0:x}, not murmur3")
        if not 8 <= fanout <= MAX_FANOUT or fanout & fanout - 1:
            raise BadBlock(f"sharded directory of fanout {fanout}: not a power of two from 8 to {MAX_FANOUT}")
        if len(node.links) > fanout:
            raise BadBlock(f"sharded directory has {len(node.links)} links in {fanout} buckets")
        shard = cls(node.links, fanout, level, len(_written(fanout)[0]))
        if (level + 1) * shard.bits > _HASH_BITS:
            raise BadBlock("sharded directory is deeper than its names' hashes are long")
        if level and not node.links:
            raise BadBlock("sharded directory has an empty shard below its root")
        return shard

    @property
    def bits(self) -> int:
        """Bits of a name's hash that choose the bucket here."""
        return self.fanout.bit_length() - 1

    def bucket(self, name: str) -> str:
        """The bucket of an entry, as written in front of its link's name."""
        shift = _HASH_BITS - (self.level + 1) * self.bits
        return _written(self.fanout)[hash_value(name) >> shift & self.fanout - 1]

    def entry_name(self, link: PBLink) -> str:
        """The entry's name; empty where the link leads to a shard. Raises BadBlock.

        An entry outside the bucket of its hash is refused: no lookup would find it, and a few blocks
        that link to one another over and over could claim more entries than anyone can count.
        """
        text, digits = link.name or "", self.digits
        prefix, name = text[:digits], text[digits:]
        if len(prefix) < digits or (name and self.bucket(name) != prefix):
            raise BadBlock(f'sharded directory has a link "{link.name}" that is not in its bucket')
        return name

    def leads_down(self, link: PBLink) -> bool:
        """Whether the link is to a shard: only its length is looked at."""
        return len(link.name or "") == self.digits

    def find(self, name: str) -> PBLink | None:
        """The link to that entry, or to the shard that may hold it."""
        bucket = self.bucket(name)
        return next((link for link in self.links if link.name in (bucket, bucket + name)), None)
