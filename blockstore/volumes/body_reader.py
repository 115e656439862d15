"""Bytes of blocks read from volumes: neighbours in one read."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence

from blockstore.volumes.open_volumes import OpenVolumes
from blockstore.volumes.volume_rows import PlacedName

_GAP = 16 * 1024  # bytes between two records that are read along rather than skipped
_RUN = 8 * 1024 * 1024  # bytes of one read
_LONGEST = 64 * 1024 * 1024  # bytes of a record; a damaged length would have memory taken for more


def read_bodies(volumes: OpenVolumes, wanted: Sequence[PlacedName]) -> dict[bytes, bytes]:
    """By multihash; nothing is verified, and what lies behind the end of a volume is short. Raises OSError.

    Python takes the interpreter lock back after each call, which beside a busy thread costs milliseconds: so
    one call for a run of neighbours, though its bytes are copied once more.
    """
    found: dict[bytes, bytes] = {}
    for run in _runs(sorted(wanted, key=_start)):
        found |= _read_run(volumes, run)
    return found


def _start(name: PlacedName) -> tuple[int, int]:
    return name.place.volume, name.place.start


def _runs(names: Sequence[PlacedName]) -> Generator[list[PlacedName]]:
    run: list[PlacedName] = []
    for name in names:
        if run and not _adjoin(run, name):
            yield run
            run = []
        run.append(name)
    if run:
        yield run


def _adjoin(run: Sequence[PlacedName], name: PlacedName) -> bool:
    first, last, place = run[0].place, run[-1].place, name.place
    gap = place.start - (last.start + last.bytes)
    return place.volume == last.volume and gap <= _GAP and place.start + place.bytes - first.start <= _RUN


def _read_run(volumes: OpenVolumes, run: Sequence[PlacedName]) -> dict[bytes, bytes]:
    first, last = run[0], run[-1].place
    start = first.place.start + first.head_bytes
    size = last.start + last.bytes - start
    if not 0 <= size <= _LONGEST:
        return {name.multihash: b"" for name in run}
    with volumes.using(first.place.volume) as file:
        data = os.pread(file, size, start)
    if len(run) == 1:
        return {first.multihash: data}
    return {name.multihash: _cut(data, name, start) for name in run}


def _cut(data: bytes, name: PlacedName, start: int) -> bytes:
    place = name.place
    return data[place.start + name.head_bytes - start : place.start + place.bytes - start]
