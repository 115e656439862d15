"""Records found in a volume file without an index: from head to head, and past damage to the next one."""

from __future__ import annotations

import errno
import os
from collections.abc import Generator
from dataclasses import dataclass

from blockstore.sqlite.row_checks import is_sound
from blockstore.volumes.record import MAGIC, MAX_HEAD_BYTES, RecordHead, read_head

_WINDOW = 1024 * 1024
_LARGEST = 64 * 1024 * 1024  # bytes of a block; a head that says more is none of ours


@dataclass(frozen=True, slots=True)
class FoundRecord:
    """`data` hashes to the multihash of the head."""

    start: int
    head: RecordHead
    data: bytes


def sound_records(file: int, start: int, end: int) -> Generator[FoundRecord]:
    """Those between the two bytes that are whole, in order. Raises OSError.

    Each is hashed: a block may hold bytes that look like a record, and a torn one has its head alone.
    """
    while (start := _skip_hole(file, start, end)) < end:
        head = read_head(os.pread(file, min(MAX_HEAD_BYTES, end - start), start))
        if head is None or head.size > _LARGEST or start + head.bytes > end:
            start = _next_magic(file, start + 1, end)
            continue
        data = os.pread(file, head.size, start + head.head_bytes)
        if len(data) == head.size and is_sound(head.multihash, data):
            yield FoundRecord(start, head, data)
            start += head.bytes
        else:
            start = _next_magic(file, start + 1, end)


def _next_magic(file: int, start: int, end: int) -> int:
    while (start := _skip_hole(file, start, end)) < end:
        window = os.pread(file, min(_WINDOW, end - start), start)
        if (found := window.find(MAGIC)) >= 0:
            return start + found
        if len(window) < len(MAGIC):
            break
        start += len(window) - len(MAGIC) + 1
    return end


def _skip_hole(file: int, start: int, end: int) -> int:
    """Where data goes on, where the file system knows of holes."""
    if start >= end:
        return end
    try:
        return min(end, os.lseek(file, start, os.SEEK_DATA))
    except OSError as error:
        if error.errno == errno.ENXIO:  # nothing but a hole from here on
            return end
        if error.errno == errno.EINVAL:
            return start
        raise
