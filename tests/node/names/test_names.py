"""Names followed to content: static names, IPNS records, DNSLinks of a real DNS server, and times."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import TypedDict, Unpack

import pytest
from support.cluster_network import SimNetwork
from support.dns_server import Zone, dns_server
from support.ipns import Key
from support.names import START, Clock, MemoryRoute, NamesSetup, opened_names
from support.node import eventually

from blockstore.cid import CID, RAW
from blockstore.common.guard import Guard
from blockstore.common.tasks import open_tasks
from blockstore.errors import BlockstoreError, StorageFull, StoreUnavailable
from blockstore.path import MAX_SEGMENTS
from cluster.common.methods import NAMES_GET
from cluster.ports import PeerCalls
from node.config.errors import BadConfig
from node.config.sections import NamesConfig
from node.names.dns import Texts
from node.names.errors import (
    BadName,
    BadRecord,
    DnsFailure,
    NameNotFound,
    NamesError,
    NameTooDeep,
    OlderRecord,
    RecordsUnavailable,
)
from node.names.ipns_record import IpnsRecord, verify
from node.names.lookups import NoLookups
from node.names.name import IpnsName, NamePath
from node.names.names import Names
from node.names.open_names import OpenNames
from node.names.record_routing import RecordRoute, RecordRouting
from node.names.record_store import Stored, open_record_store

A = f"/ipfs/{CID.identity(RAW, b'a')}"
B = f"/ipfs/{CID.identity(RAW, b'b')}"


class Settings(TypedDict, total=False):
    """Those of NamesConfig that are varied here."""

    resolver: str
    timeout: float
    stale: float
    negative_ttl: float


class Resolving:
    """Names, and records put beside them."""

    def __init__(self, opened: OpenNames) -> None:
        self.resolve = opened.names.resolve
        self.record = opened.names.record
        self.has_dnslink = opened.names.has_dnslink
        self.put = opened.publishing.keep


@asynccontextmanager
async def names(
    tmp_path: Path,
    calls: PeerCalls | None = None,
    *,
    clock: Clock | None = None,
    static: str = "",
    routing: Sequence[RecordRoute] = (),
    offline: bool = False,
    **settings: Unpack[Settings],
) -> AsyncIterator[Resolving]:
    setup = NamesSetup(
        replace(NamesConfig(timeout=5.0), **settings),
        clock or Clock(),
        calls,
        followers=("one", "two", "three", "liar"),
        static=static,
        routing=routing,
        offline=offline,
    )
    async with opened_names(tmp_path, setup) as opened:
        yield Resolving(opened)


async def resolved(names: Resolving | Names, text: str) -> str:
    return str((await names.resolve(NamePath.parse(text))).path)


async def ttl(names: Resolving | Names, text: str) -> float | None:
    return (await names.resolve(NamePath.parse(text))).ttl


async def test_a_put_record_leads_to_its_value_and_outlives_a_restart(tmp_path: Path) -> None:
    key = Key(1)
    async with names(tmp_path) as one:
        with pytest.raises(NameNotFound, match="no record here"):
            await one.resolve(NamePath(key.name))
        await one.put(key.name, key.record(f"{A}/a", START + 3600))
        assert await resolved(one, f"/ipns/{key.name}/b/../c") == f"{A}/a/c"
    async with names(tmp_path) as one:
        assert await resolved(one, f"ipns://{key.identity.peer_id}") == f"{A}/a"
        kept = await one.record(key.name)
        assert (kept.record.raw, kept.ttl) == (key.record(f"{A}/a", START + 3600), 60)


async def test_a_bad_record_is_refused_and_not_kept(tmp_path: Path) -> None:
    key = Key(1)
    async with names(tmp_path) as one:
        with pytest.raises(BadRecord, match="signature"):
            await one.put(key.name, Key(2).record(A, START + 3600))
        with pytest.raises(BadRecord, match="expired"):
            await one.put(key.name, key.record(A, START - 1))
        with pytest.raises(NameNotFound):
            await one.record(key.name)


async def test_an_older_record_never_takes_the_place_of_a_newer_one(tmp_path: Path) -> None:
    key = Key(1)
    newer = key.record(B, START + 10, sequence=2)
    async with names(tmp_path) as one:
        await one.put(key.name, newer)
        await one.put(key.name, newer)
        with pytest.raises(OlderRecord, match="sequence 1 is not stored: one with sequence 2"):
            await one.put(key.name, key.record(A, START + 3600, sequence=1))
        assert await resolved(one, f"/ipns/{key.name}") == B
        await one.put(key.name, key.record(A, START + 3600, sequence=3))
        assert await resolved(one, f"/ipns/{key.name}") == A


async def test_the_time_left_counts_down_and_never_passes_the_end_of_the_record(tmp_path: Path) -> None:
    key, clock = Key(1), Clock()
    async with names(tmp_path, clock=clock, stale=0) as one:
        await one.put(key.name, key.record(A, START + 100, ttl=60))
        assert await ttl(one, f"/ipns/{key.name}") == 60
        clock.time += 25
        assert await ttl(one, f"/ipns/{key.name}") == 35
        clock.time += 45
        assert await ttl(one, f"/ipns/{key.name}") == 30  # looked up again: the record ends in 30 s
        clock.time += 30
        with pytest.raises(NameNotFound, match="the record here has expired"):
            await one.resolve(NamePath(key.name))


async def test_a_clock_set_back_makes_nothing_last_longer(tmp_path: Path) -> None:
    key, clock = Key(1), Clock()
    async with names(tmp_path, clock=clock) as one:
        await one.put(key.name, key.record(A, START + 100, ttl=60))
        await one.resolve(NamePath(key.name))
        clock.time -= 1000
        assert await ttl(one, f"/ipns/{key.name}") == 60


async def test_the_shortest_time_on_the_way_counts(tmp_path: Path) -> None:
    first, second = Key(1), Key(2)
    async with names(tmp_path, static=f"s.example.org:/ipns/{first.name}/s") as one:
        await one.put(first.name, first.record(f"/ipns/{second.name}/a", START + 3600, ttl=600))
        await one.put(second.name, second.record(f"{A}/b", START + 3600, ttl=30))
        found = await one.resolve(NamePath.parse("/ipns/s.example.org/rest"))
        assert (str(found.path), found.ttl) == (f"{A}/b/a/s/rest", 30)
        assert [str(name) for name in found.names] == ["s.example.org", str(first.name), str(second.name)]


async def test_names_that_lead_in_a_circle_are_an_error(tmp_path: Path) -> None:
    first, second = Key(1), Key(2)
    async with names(tmp_path) as one:
        await one.put(first.name, first.record(f"/ipns/{second.name}", START + 3600))
        await one.put(second.name, second.record(f"/ipns/{first.name}/more", START + 3600))
        with pytest.raises(NameTooDeep, match="leads back to itself"):
            await one.resolve(NamePath(first.name))


@pytest.mark.parametrize(("length", "reaches"), [(32, True), (33, False)])
async def test_at_most_thirty_two_names_are_followed(tmp_path: Path, length: int, reaches: bool) -> None:
    chain = ",".join(f"n{i}.example.org:/ipns/n{i + 1}.example.org" for i in range(1, length))
    async with names(tmp_path, static=f"{chain},n{length}.example.org:{A}") as one:
        if reaches:
            assert await resolved(one, "/ipns/n1.example.org") == A
            assert await ttl(one, "/ipns/n1.example.org") is None
        else:
            with pytest.raises(NameTooDeep, match="more than 32"):
                await one.resolve(NamePath.parse("/ipns/n1.example.org"))


async def test_a_path_that_grows_too_long_on_the_way_is_an_error(tmp_path: Path) -> None:
    deep = "/a" * MAX_SEGMENTS
    async with names(tmp_path, static=f"n.example.org:{A}{deep}") as one:
        assert await resolved(one, "/ipns/n.example.org") == A + deep
        with pytest.raises(BadRecord, match="longer than"):
            await one.resolve(NamePath.parse("/ipns/n.example.org/b"))


@pytest.mark.parametrize(
    "entry", ["n.example.org", "n.example.org:bafkqaaa", "one:/ipfs/bafkqaaa", "n.org:/ipfs/x"]
)
async def test_a_static_name_that_does_not_parse_is_told_at_the_start(tmp_path: Path, entry: str) -> None:
    with pytest.raises(BadConfig, match="static name"):
        async with names(tmp_path, static=entry):
            pass


async def test_static_names_override_the_dns_and_are_dnslinks(tmp_path: Path) -> None:
    async with (
        dns_server(Zone(texts={"_dnslink.n.example.org": [f"dnslink={B}"]})) as zone,
        names(tmp_path, resolver=zone.address, static=f"n.example.org:{A}") as one,
    ):
        assert await resolved(one, "/ipns/N.example.org.") == A
        assert await one.has_dnslink("n.example.org")
        assert not zone.asked


async def test_a_dnslink_is_looked_up_and_its_ttl_carried(tmp_path: Path) -> None:
    clock = Clock()
    async with (
        dns_server(
            Zone(
                texts={
                    "_dnslink.n.example.org": ["v=spf1 -all", f"dnslink={A}/a"],
                    "m.example.org": [f"dnslink={B}"],
                },
                ttls={"_dnslink.n.example.org": 77},
            )
        ) as zone,
        names(tmp_path, resolver=zone.address, clock=clock) as one,
    ):
        assert await resolved(one, "/ipns/n.example.org/x") == f"{A}/a/x"
        clock.time += 7
        assert await ttl(one, "/ipns/n.example.org") == 70
        assert zone.asked["_dnslink.n.example.org"] == 1
        assert await resolved(one, "/ipns/m.example.org") == B
        assert await one.has_dnslink("m.example.org")
        assert await one.has_dnslink("M.EXAMPLE.org.")
        assert not await one.has_dnslink("other.example.org")


async def test_the_underscore_name_goes_first_and_an_alias_is_followed(tmp_path: Path) -> None:
    async with (
        dns_server(
            Zone(
                texts={"n.example.org": [f"dnslink={A}"], "links.example.net": [f"dnslink={B}"]},
                aliases={"_dnslink.n.example.org": "links.example.net"},
                ttls={"_dnslink.n.example.org": 5},
            )
        ) as zone,
        names(tmp_path, resolver=zone.address) as one,
    ):
        assert await resolved(one, "/ipns/n.example.org") == B
        assert await ttl(one, "/ipns/n.example.org") == 5  # an alias ends when its own record ends


async def test_a_dnslink_in_unicode_is_asked_for_in_a_labels(tmp_path: Path) -> None:
    async with (
        dns_server(Zone(texts={"_dnslink.xn--bcher-kva.example.org": [f"dnslink={A}"]})) as zone,
        names(tmp_path, resolver=zone.address) as one,
    ):
        found = await one.resolve(NamePath.parse("/ipns/BÜCHER.example.org/a b"))
        assert [str(name) for name in found.names] == ["xn--bcher-kva.example.org"]


async def test_an_answer_too_long_for_udp_comes_over_tcp(tmp_path: Path) -> None:
    long = f"{A}/" + "x" * 3000
    async with (
        dns_server(Zone(texts={"_dnslink.n.example.org": [f"dnslink={long}"]})) as zone,
        names(tmp_path, resolver=zone.address) as one,
    ):
        assert await resolved(one, "/ipns/n.example.org") == long


@pytest.mark.parametrize("text", [A, A.removeprefix("/ipfs/")])
async def test_a_path_or_cid_without_dnslink_counts_as_it_once_did(tmp_path: Path, text: str) -> None:
    async with (
        dns_server(Zone(texts={"n.example.org": ["hello", text]})) as zone,
        names(tmp_path, resolver=zone.address) as one,
    ):
        assert await resolved(one, "/ipns/n.example.org") == A


@pytest.mark.parametrize(
    ("texts", "error", "reason"),
    [
        ([f"dnslink={A}", f"dnslink={B}"], BadRecord, "2 different DNSLinks"),
        (["dnslink=/ipfs/nonsense"], BadRecord, "leads nowhere"),
        (["dnslink=https://example.org"], BadRecord, "leads nowhere"),
        (["hello"], NameNotFound, "no DNSLink"),
    ],
)
async def test_texts_that_say_no_path_are_an_error(
    tmp_path: Path, texts: list[str], error: type[NamesError], reason: str
) -> None:
    async with (
        dns_server(Zone(texts={"_dnslink.n.example.org": texts})) as zone,
        names(tmp_path, resolver=zone.address) as one,
    ):
        with pytest.raises(error, match=reason):
            await one.resolve(NamePath.parse("/ipns/n.example.org"))


async def test_the_same_dnslink_twice_is_one(tmp_path: Path) -> None:
    async with (
        dns_server(Zone(texts={"_dnslink.n.example.org": [f"dnslink={A}", f"dnslink={A} "]})) as zone,
        names(tmp_path, resolver=zone.address) as one,
    ):
        assert await resolved(one, "/ipns/n.example.org") == A


async def test_a_name_without_dnslink_is_remembered_for_a_while(tmp_path: Path) -> None:
    clock = Clock()
    async with (
        dns_server(Zone()) as zone,
        names(tmp_path, resolver=zone.address, clock=clock, negative_ttl=10) as one,
    ):
        for _ in range(3):
            with pytest.raises(NameNotFound):
                await one.resolve(NamePath.parse("/ipns/n.example.org"))
        assert zone.asked["_dnslink.n.example.org"] == 1
        zone.texts["_dnslink.n.example.org"] = [f"dnslink={A}"]
        clock.time += 10
        assert await resolved(one, "/ipns/n.example.org") == A


@pytest.mark.parametrize("trouble", ["failing", "mute"])
async def test_a_resolver_in_trouble_is_told(tmp_path: Path, trouble: str) -> None:
    places = {"_dnslink.n.example.org", "n.example.org"}
    async with (
        dns_server(Zone(failing=places) if trouble == "failing" else Zone(mute=places)) as zone,
        names(tmp_path, resolver=zone.address, timeout=0.3) as one,
    ):
        with pytest.raises(DnsFailure, match="cannot look up the TXT records of _dnslink"):
            await one.resolve(NamePath.parse("/ipns/n.example.org"))
        assert not await one.has_dnslink("n.example.org")


async def test_a_stale_answer_is_served_while_a_fresh_one_is_fetched(tmp_path: Path) -> None:
    clock, place = Clock(), "_dnslink.n.example.org"
    async with (
        dns_server(Zone(texts={place: [f"dnslink={A}"]}, ttls={place: 60})) as zone,
        names(tmp_path, resolver=zone.address, clock=clock, stale=100) as one,
    ):
        assert await resolved(one, "/ipns/n.example.org") == A
        zone.texts[place] = [f"dnslink={B}"]
        clock.time += 61
        found = await one.resolve(NamePath.parse("/ipns/n.example.org"))
        assert (str(found.path), found.ttl) == (A, 0)

        async def fresh() -> bool:
            return await resolved(one, "/ipns/n.example.org") == B

        await eventually(fresh)
        assert zone.asked[place] == 2
        clock.time += 60 + 100  # too stale to serve: whoever asks waits for the fresh one
        zone.texts[place] = [f"dnslink={A}"]
        assert await resolved(one, "/ipns/n.example.org") == A


async def test_a_stale_answer_outlives_a_dns_in_trouble_but_not_a_name_that_is_gone(tmp_path: Path) -> None:
    clock, place = Clock(), "_dnslink.n.example.org"
    async with (
        dns_server(Zone(texts={place: [f"dnslink={A}"]}, ttls={place: 60})) as zone,
        names(tmp_path, resolver=zone.address, clock=clock, stale=1000, negative_ttl=0, timeout=5) as one,
    ):
        assert await resolved(one, "/ipns/n.example.org") == A
        clock.time += 100
        zone.failing |= {place, "n.example.org"}

        async def asked_often() -> bool:
            assert await resolved(one, "/ipns/n.example.org") == A
            return zone.asked[place] > 3

        await eventually(asked_often)
        zone.failing.clear()
        zone.texts.clear()

        async def gone() -> bool:
            return not await one.has_dnslink("n.example.org")

        await eventually(gone)


async def test_offline_the_dns_is_not_asked_unless_a_resolver_is_named(tmp_path: Path) -> None:
    async with names(tmp_path, offline=True) as one:
        with pytest.raises(DnsFailure, match="runs offline"):
            await one.resolve(NamePath.parse("/ipns/n.example.org"))
    async with (
        dns_server(Zone(texts={"n.example.org": [f"dnslink={A}"]})) as zone,
        names(tmp_path, resolver=zone.address, offline=True) as one,
    ):
        assert await resolved(one, "/ipns/n.example.org") == A


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "[::1]", "::1", "localhost", "", "a..b", "-a.org", "x" * 64 + ".org"]
)
async def test_what_is_no_domain_name_is_never_looked_up(tmp_path: Path, host: str) -> None:
    async with dns_server(Zone()) as zone, names(tmp_path, resolver=zone.address) as one:
        assert not await one.has_dnslink(host)
        assert not zone.asked
        with pytest.raises(BadName):
            NamePath.parse(f"/ipns/{host}")


@pytest.mark.parametrize(
    "resolver", ["nonsense", "127.0.0.1:0", "127.0.0.1:x", "[::1]:99999", "dns.example.org:53"]
)
async def test_a_resolver_that_is_no_address_is_told_at_the_start(tmp_path: Path, resolver: str) -> None:
    with pytest.raises(BadConfig, match=r"names\.resolver"):
        async with names(tmp_path, resolver=resolver):
            pass


async def test_members_give_each_other_records_and_the_newest_counts(tmp_path: Path) -> None:
    network, key, clock = SimNetwork(Random(1), delay=0), Key(1), Clock()
    first, second, third = (network.attach(name) for name in ("one", "two", "three"))
    for name in ("1", "2", "3"):
        (tmp_path / name).mkdir()
    async with (
        names(tmp_path / "1", first, clock=clock, stale=0) as one,
        names(tmp_path / "2", second, clock=clock) as two,
        names(tmp_path / "3", third, clock=clock) as three,
    ):
        await two.put(key.name, key.record(A, START + 3600, sequence=1))
        await three.put(key.name, key.record(B, START + 3600, sequence=2))
        assert await resolved(one, f"/ipns/{key.name}") == B
        await two.put(key.name, key.record(A, START + 3600, sequence=5))
        assert await resolved(one, f"/ipns/{key.name}") == B  # for its TTL
        clock.time += 61
        assert await resolved(one, f"/ipns/{key.name}") == A
        network.part(["one"], ["two", "three"])
        clock.time += 61
        assert await resolved(one, f"/ipns/{key.name}") == A  # it is kept here now


@pytest.mark.parametrize(
    "answer", [b"nonsense", b"", bytes(100_000), Key(2).record(B, START + 3600, sequence=9)]
)
async def test_a_member_that_answers_nonsense_changes_nothing(tmp_path: Path, answer: bytes) -> None:
    network, key = SimNetwork(Random(1), delay=0), Key(1)
    here, liar = network.attach("one"), network.attach("liar")

    async def lie(_peer: str, _request: bytes) -> bytes:
        return answer

    async with names(tmp_path, here, clock=Clock()) as one:
        liar.serve(NAMES_GET.name, lie)
        with pytest.raises(NameNotFound):
            await one.resolve(NamePath(key.name))
        assert await liar.call("one", NAMES_GET.name, b"\xff" * 50) == b""


async def test_other_routing_joins_through_its_seam(tmp_path: Path) -> None:
    key, routing = Key(1), MemoryRoute()
    routing.records[key.name] = verify(key.name, key.record(A, START + 3600), START)
    async with names(tmp_path, routing=[routing]) as one:
        for _ in range(3):
            assert await resolved(one, f"/ipns/{key.name}") == A
    assert routing.asked == [key.name]


async def test_what_fetches_nothing_follows_the_records_that_are_here(tmp_path: Path) -> None:
    key, routing = Key(1), MemoryRoute()
    async with names(tmp_path, routing=[routing]) as one:
        with pytest.raises(NameNotFound, match="none is asked for elsewhere"):
            await one.resolve(NamePath(key.name), fetch=False)
        await one.put(key.name, key.record(A, START + 90, ttl=60.0))
        found = await one.resolve(NamePath(key.name), fetch=False)
        assert (str(found.path), found.ttl) == (A, 60.0)
        assert (await one.record(key.name, fetch=False)).ttl == 60.0
        assert routing.asked == []


class Broken:
    """A store whose file fails in one way."""

    def __init__(self, error: BlockstoreError, *, reads: bool) -> None:
        self._error = error
        self._reads = reads

    async def get(self, name: IpnsName) -> Stored | None:
        if self._reads:
            raise self._error
        return None

    async def put(self, name: IpnsName, record: IpnsRecord, now: float) -> IpnsRecord:
        raise self._error


async def test_a_full_disk_does_not_keep_names_from_resolving(caplog: pytest.LogCaptureFixture) -> None:
    key = Key(1)

    class Routing:
        async def find(self, name: IpnsName) -> list[IpnsRecord]:
            return [verify(name, key.record(A, START + 3600), START)]

    async with open_tasks() as tasks:
        records = RecordRouting(Broken(StorageFull("the disk is full"), reads=False), [Routing()], Clock())
        one = Names({}, records, NoLookups(), NamesConfig(), tasks, Clock())
        assert await resolved(one, f"/ipns/{key.name}") == A
    assert "is not kept: the disk is full" in caplog.text


async def test_a_file_that_cannot_be_read_is_an_error_and_not_the_end() -> None:
    key = Key(1)
    async with open_tasks() as tasks:
        records = RecordRouting(Broken(StoreUnavailable("no such disk"), reads=True), [], Clock())
        one = Names({}, records, NoLookups(), NamesConfig(), tasks, Clock())
        for _ in range(2):
            with pytest.raises(RecordsUnavailable, match="no such disk"):
                await one.resolve(NamePath(key.name))


async def test_many_who_ask_at_once_cost_one_look_up_and_one_that_leaves_does_not_stop_it(
    tmp_path: Path,
) -> None:
    async with (
        dns_server(Zone(texts={"_dnslink.n.example.org": [f"dnslink={A}"]})) as zone,
        names(tmp_path, resolver=zone.address) as one,
    ):
        asking = [asyncio.create_task(resolved(one, "/ipns/n.example.org")) for _ in range(50)]
        await asyncio.sleep(0)
        asking.pop(0).cancel()
        assert await asyncio.gather(*asking) == [A] * 49
        assert zone.asked["_dnslink.n.example.org"] == 1


async def test_a_bug_met_at_one_name_is_counted_and_ends_no_other_look_up(tmp_path: Path) -> None:
    async def look_up(name: str) -> Texts:
        if "odd" in name:
            raise ZeroDivisionError(name)
        return Texts((f"dnslink={A}",), 60.0)

    guard = Guard()
    async with open_record_store(tmp_path / "names.db") as store, open_tasks() as tasks:
        found = Names({}, RecordRouting(store, (), Clock()), look_up, NamesConfig(), tasks, Clock(), guard)
        with pytest.raises(RecordsUnavailable, match="a fault of this node"):
            await resolved(found, "/ipns/odd.example.org")
        assert await resolved(found, "/ipns/good.example.org") == A
    assert guard.failures == 1
