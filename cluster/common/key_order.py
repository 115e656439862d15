"""Keys (bytes of CIDs) that must stand in order: what goes on behind the last of others would never end."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from operator import lt


def in_order(after: bytes, keys: Sequence[bytes]) -> bool:
    """Whether they grow from one to the next, the first from `after`."""
    return not keys or (after < keys[0] and all(map(lt, keys, islice(keys, 1, None))))
