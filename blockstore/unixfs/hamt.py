"""HAMT directories: how names are hashed (specs: UNIXFS, section "HAMT Directory")."""

from __future__ import annotations

import mmh3


def hamt_hash(name: str) -> bytes:
    """Eight bytes: murmur3-x64-128 of the name with seed 0, its first half, most significant byte first."""
    first, _ = mmh3.mmh3_x64_128_utupledigest(name.encode("utf-8", "surrogateescape"))
    return first.to_bytes(8, "big")
