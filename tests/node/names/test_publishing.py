"""Names published: on every member, over restarts, and by whoever is alive."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from support.cluster_network import SimNetwork
from support.ipns import Key
from support.names import START, Clock, MemoryRoute, NamesSetup, opened_names
from support.node import eventually

from blockstore.cid import CID, RAW
from cluster.common.election import elected
from node.config.sections import NamesConfig
from node.datadir.private_key import PrivateKey
from node.names.errors import NameNotFound, NotPublished, OlderRecord
from node.names.ipns_record import IpnsRecord, verify
from node.names.name import IpnsName, NamePath, parse_target
from node.names.open_names import OpenNames
from node.names.publishing import Publication
from node.names.signing import name_of

A = f"/ipfs/{CID.identity(RAW, b'a')}"
B = f"/ipfs/{CID.identity(RAW, b'b')}"
KEY = PrivateKey.from_seed(bytes(32))
NAME = name_of(KEY)


def wish(
    target: str, *, lifetime: float = 3600.0, ttl: float = 60.0, sequence: int | None = None
) -> Publication:
    return Publication(parse_target(target), lifetime, ttl, sequence)


def setup(
    clock: Clock | None = None, *, republish: float = 14400.0, routing: tuple[MemoryRoute, ...] = ()
) -> NamesSetup:
    return NamesSetup(
        NamesConfig(republish=republish),
        clock or Clock(),
        trusted=("one", "two"),
        followers=("three",),
        routing=routing,
    )


async def led(opened: OpenNames, name: IpnsName = NAME) -> str:
    """Where the name leads, by what is here."""
    return str((await opened.names.resolve(NamePath(name), fetch=False)).path)


async def test_each_publishing_raises_the_sequence_over_restarts_too(tmp_path: Path) -> None:
    for sequence, target in enumerate([A, B, B]):
        async with opened_names(tmp_path, setup()) as one:
            record = await one.publishing.publish(KEY, wish(target, ttl=90))
            assert (record.sequence, record.value, record.ttl) == (sequence, target, 90)
            assert record.expires == START + 3600
            assert await led(one) == target


async def test_who_was_asked_before_hears_of_it_at_once(tmp_path: Path) -> None:
    async with opened_names(tmp_path, setup()) as one:
        await one.publishing.publish(KEY, wish(A))
        assert str((await one.names.resolve(NamePath(NAME))).path) == A
        await one.publishing.publish(KEY, wish(B))
        assert str((await one.names.resolve(NamePath(NAME))).path) == B


async def test_a_sequence_goes_above_what_others_know(tmp_path: Path) -> None:
    key, route = Key(1), MemoryRoute()
    own = PrivateKey.from_seed(key.identity.seed)
    data = key.record(A, START + 100, sequence=41)
    route.records[key.name] = verify(key.name, data, START)
    async with opened_names(tmp_path, setup(routing=(route,))) as one:
        assert (await one.publishing.publish(own, wish(B))).sequence == 42
        assert route.records[key.name].value == B
        with pytest.raises(OlderRecord, match="sequence 42 is not above 42"):
            await one.publishing.publish(own, wish(A, sequence=42))
        assert (await one.publishing.publish(own, wish(A, sequence=50))).sequence == 50


async def test_an_expired_record_of_ours_still_counts(tmp_path: Path) -> None:
    clock = Clock()
    async with opened_names(tmp_path, setup(clock)) as one:
        await one.publishing.publish(KEY, wish(A, lifetime=10))
        clock.time += 11
        with pytest.raises(NameNotFound):
            await led(one)
        assert (await one.publishing.publish(KEY, wish(A))).sequence == 1


async def test_an_rsa_keys_record_carries_the_key(tmp_path: Path) -> None:
    key = PrivateKey.generate(2048)
    async with opened_names(tmp_path, setup()) as one:
        record = await one.publishing.publish(key, wish(A))
        assert verify(name_of(key), record.raw, START) == record


async def test_a_record_outlives_the_member_that_published_it(tmp_path: Path) -> None:
    network, plain = SimNetwork(Random(1), delay=0), setup()
    first, second, third = (network.attach(name) for name in ("one", "two", "three"))
    async with (
        opened_names(tmp_path / "2", plain.by("two", second)) as two,
        opened_names(tmp_path / "3", plain.by("three", third)) as three,
    ):
        async with opened_names(tmp_path / "1", plain.by("one", first)) as one:
            await one.publishing.publish(KEY, wish(A))
        network.detach("one")
        assert await led(two) == A
        assert await led(three) == A
        followers = PrivateKey.from_seed(b"3" * 32)
        await three.publishing.publish(followers, wish(A))
        with pytest.raises(NameNotFound):  # a follower only holds blocks: its records stay its own
            await led(two, name_of(followers))


async def test_a_member_that_was_away_asks_for_what_it_missed(tmp_path: Path) -> None:
    network, plain = SimNetwork(Random(1), delay=0), setup()
    first = network.attach("one")
    keys = [PrivateKey.from_seed(bytes([number]) * 32) for number in range(20)]
    async with opened_names(tmp_path / "1", plain.by("one", first)) as one:
        for key in keys:
            await one.publishing.publish(key, wish(A))
        async with opened_names(tmp_path / "2", plain.by("two", network.attach("two"))) as two:

            async def all_here() -> bool:
                found = [await two.publishing.here(name_of(key)) for key in keys]
                return None not in found

            await eventually(all_here)


class Failing:
    """A route that takes nothing."""

    def __init__(self) -> None:
        self.asked = 0

    async def find(self, name: IpnsName) -> list[IpnsRecord]:
        return []

    async def publish(self, name: IpnsName, record: IpnsRecord) -> None:
        self.asked += 1
        raise NotPublished("no server answers")


async def test_what_no_route_took_is_published_here_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    route, plain = Failing(), setup()
    one_route = NamesSetup(plain.settings, plain.clock, routing=(route,))
    async with opened_names(tmp_path, one_route) as one:
        await one.publishing.publish(KEY, wish(A))
        assert await led(one) == A
    assert route.asked == 1
    assert "no server answers" in caplog.text


async def test_a_stranger_gives_a_record_to_routes_and_to_no_member(tmp_path: Path) -> None:
    network, route, key = SimNetwork(Random(1), delay=0), MemoryRoute(), Key(1)
    plain = setup(routing=(route,))
    first, second = network.attach("one"), network.attach("two")
    async with (
        opened_names(tmp_path / "1", plain.by("one", first)) as one,
        opened_names(tmp_path / "2", setup().by("two", second)) as two,
    ):
        await one.publishing.relay(key.name, key.record(A, START + 100, sequence=2))
        assert route.records[key.name].value == A
        assert await led(one, key.name) == A
        with pytest.raises(NameNotFound):
            await led(two, key.name)
        with pytest.raises(OlderRecord):
            await one.publishing.relay(key.name, key.record(B, START + 100, sequence=1))


async def test_who_has_the_key_renews_its_record_in_time(tmp_path: Path) -> None:
    clock, route = Clock(), MemoryRoute()
    async with opened_names(tmp_path, setup(clock, republish=1.0, routing=(route,))) as one:
        one.keys.add("site", KEY)
        await one.publishing.publish(KEY, wish(A, lifetime=100, ttl=7))
        clock.time += 90

        async def renewed() -> bool:
            return route.records[NAME].expires == START + 190

        await eventually(renewed)
        record = route.records[NAME]
        assert (record.sequence, record.value, record.ttl) == (0, A, 7)


async def test_without_the_key_one_member_for_all_publishes_what_is_there(tmp_path: Path) -> None:
    network, clock = SimNetwork(Random(1), delay=0), Clock()
    routes = {name: MemoryRoute() for name in ("one", "two", "three")}
    setups = {name: setup(clock, republish=1.0, routing=(route,)) for name, route in routes.items()}
    ports = {name: network.attach(name) for name in routes}
    async with (
        opened_names(tmp_path / "2", setups["two"].by("two", ports["two"])),
        opened_names(tmp_path / "3", setups["three"].by("three", ports["three"])),
    ):
        async with opened_names(tmp_path / "1", setups["one"].by("one", ports["one"])) as one:
            await one.publishing.publish(KEY, wish(A, lifetime=1e6))
        network.detach("one")
        clock.time += 1000
        chosen = elected(NAME.cid, {"two", "three"})
        assert chosen is not None

        async def published() -> bool:
            return routes[chosen].given > 0

        await eventually(published)
        assert routes[chosen].records[NAME] == routes["one"].records[NAME]
