"""What a walk through one entity keeps in mind; what it gives is tested as CARs of the gateway."""

from __future__ import annotations

import pytest
from support.dags import cids, leaves
from support.gateway import file_of
from support.sources import source_of

from blockstore.cid import CID
from blockstore.errors import DagTooLarge
from blockstore.ipld.depth_first import WALK_LIMITS, WalkLimits
from blockstore.unixfs.entity import entity

PARTS = leaves(4, size=100)
FILE = file_of([*PARTS, *PARTS])


async def given(*, duplicates: bool = False, limits: WalkLimits = WALK_LIMITS) -> list[CID]:
    source = await source_of(FILE, *PARTS)
    blocks = entity(source, FILE.cid, duplicates=duplicates, limits=limits)
    return [block.cid async for block in blocks]


async def test_parts_are_given_once_or_as_often_as_they_are_met() -> None:
    assert await given() == cids([FILE, *PARTS])
    assert await given(duplicates=True) == cids([FILE, *PARTS, *PARTS])


async def test_what_is_not_remembered_any_more_is_given_again() -> None:
    assert await given(limits=WalkLimits(seen=3)) == cids([FILE, *PARTS, *PARTS[2:]])


async def test_more_parts_than_may_wait_end_the_walk() -> None:
    with pytest.raises(DagTooLarge, match="more than 7 links wait"):
        await given(limits=WalkLimits(pending=7))
