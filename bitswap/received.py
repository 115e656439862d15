"""Blocks from a message get their names back: bytes are hashed, and only what the hash says is believed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bitswap.message import Payload, parse_prefix
from blockstore import hashing
from blockstore.block import MAX_BLOCK_BYTES
from blockstore.common import varint

_NAMES = {code: name for name, (code, _) in hashing.FUNCTIONS.items()}
_MIN_DIGEST = 20  # bytes; shorter ones can be forged


@dataclass(frozen=True, slots=True)
class ReceivedBlock:
    """Bytes with the multihash they have. Codec and version are the wanter's affair."""

    multihash: bytes
    data: bytes

    def __repr__(self) -> str:
        return f"<ReceivedBlock {self.multihash.hex()[:12]} {len(self.data)} bytes>"


def identify(payloads: Sequence[Payload]) -> list[ReceivedBlock]:
    """Hash each payload as its prefix says; those that we could not have asked for are left out.

    Blocks above MAX_BLOCK_BYTES are not looked at either: they could not be passed on.
    CPU-bound, releases the GIL for blocks of 2 KiB and more: run it in an executor when there is much to do.
    """
    fitting = (payload for payload in payloads if len(payload.data) <= MAX_BLOCK_BYTES)
    named = ((_multihash(payload), payload.data) for payload in fitting)
    return [ReceivedBlock(multihash, data) for multihash, data in named if multihash is not None]


def _multihash(payload: Payload) -> bytes | None:
    code, length = parse_prefix(payload.prefix)
    if code == 0x12 and length == 32:
        return hashing.multihash(payload.data)
    name = _NAMES.get(code)
    if name is None or code == 0 or length < _MIN_DIGEST:
        return None
    digest = hashing.FUNCTIONS[name][1](payload.data)
    if length > len(digest):
        return None
    return varint.encode(code) + varint.encode(length) + digest[:length]
