"""What a wish makes of a pin that is there already."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import MappingProxyType
from typing import TypedDict, Unpack

import pytest
from support.clock import virtual_time
from support.memory_cluster import EPOCH, MemoryCluster, cid

from cluster.allocation.pin_options import merged, resolve_options
from cluster.errors import BadPinValue
from cluster.pin import Pin, PinMode, PinOptions, Wish
from cluster.settings import ClusterSettings

NOW = 1000.0
PRECIOUS = PinOptions(
    "precious", replication_min=1, replication_max=1, metadata=MappingProxyType({"owner": "alice"})
)


class Options(TypedDict, total=False):
    name: str
    mode: PinMode
    expire_at: float | None
    metadata: Mapping[str, str]


def wished(before: PinOptions, *named: str, shorten: bool = False, **options: Unpack[Options]) -> PinOptions:
    existing = Pin(cid(1), before, ("a",), 0)
    return merged(Wish(PinOptions(**options), frozenset(named), shorten), existing, NOW)


def test_what_is_not_named_stays() -> None:
    assert wished(PRECIOUS) == PRECIOUS
    assert wished(PRECIOUS, "mode", mode=PinMode.RECURSIVE) == PRECIOUS
    found = wished(PRECIOUS, "name", "metadata", name="renamed", metadata={"year": "2024"})
    assert (found.name, dict(found.metadata)) == ("renamed", {"owner": "alice", "year": "2024"})
    assert (found.replication_min, found.replication_max) == (1, 1)


def test_a_name_may_be_taken_away_by_name() -> None:
    assert wished(PRECIOUS, "name").name == ""


def test_without_names_all_is_replaced() -> None:
    assert merged(Wish(PinOptions("new")), Pin(cid(1), PRECIOUS, (), 0), NOW) == PinOptions("new")


@pytest.mark.parametrize(
    ("before", "asked", "shorten", "after"),
    [
        (None, 2000.0, False, None),
        (None, 2000.0, True, 2000.0),
        (3000.0, 2000.0, False, 3000.0),
        (3000.0, 2000.0, True, 2000.0),
        (2000.0, 3000.0, False, 3000.0),
        (2000.0, None, False, None),
        (500.0, 2000.0, False, 2000.0),
    ],
)
def test_an_end_never_comes_sooner_unless_that_is_asked_for(
    before: float | None, asked: float | None, shorten: bool, after: float | None
) -> None:
    found = wished(PinOptions(expire_at=before), "expire_at", expire_at=asked, shorten=shorten)
    assert found.expire_at == after


def test_an_end_that_has_passed_is_not_renewed_by_what_names_none() -> None:
    assert wished(PinOptions(expire_at=2000.0)).expire_at == 2000.0
    assert wished(PinOptions(expire_at=999.0)).expire_at is None


@pytest.mark.parametrize(
    "options",
    [
        PinOptions(metadata={str(number): "" for number in range(65)}),
        PinOptions(metadata={"k": "v" * 13_000}),
        PinOptions("n" * 256),
        PinOptions(expire_at=NOW),
        PinOptions(replication_min=3, replication_max=2),
        PinOptions(replication_min=-1, replication_max=2),
    ],
)
def test_what_no_pin_can_have_is_refused(options: PinOptions) -> None:
    with pytest.raises(BadPinValue):
        resolve_options(options, None, ClusterSettings(), NOW)


@virtual_time
async def test_wishes_at_the_same_time_lose_nothing_of_each_other() -> None:
    world = MemoryCluster(1)
    async with world.all() as (cluster,):
        wishes = [
            Wish(PinOptions(name="photos"), frozenset({"name"})),
            Wish(PinOptions(metadata=MappingProxyType({"a": "1"})), frozenset({"metadata"})),
            Wish(PinOptions(expire_at=EPOCH + 10**6), frozenset({"expire_at"})),
            Wish(PinOptions(), frozenset({"mode"})),
        ]
        granted = await asyncio.gather(*(cluster.grant(cid(1), wish) for wish in wishes))
        pin = await cluster.get_pin(cid(1))
        assert (pin.options.name, dict(pin.options.metadata)) == ("photos", {"a": "1"})
        assert pin.options.expire_at is None  # whoever wished first wished it for ever
        assert [one.before is None for one in granted].count(True) == 1
