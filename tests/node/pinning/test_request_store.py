"""Requests on the disk: found by every condition of the specification, newest first, over restarts."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.inline_database import InlineDatabase
from support.memory_cluster import cid

from node.pinning.errors import TooManyOfOneCid
from node.pinning.pin_request import NameMatch, RequestQuery, WantedPin
from node.pinning.request_store import MAX_OF_A_CID, SCHEMA, RequestStore, open_request_store


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[RequestStore]:
    async with open_request_store(tmp_path / "requests.db") as opened:
        yield opened


async def ids(store: RequestStore, query: RequestQuery) -> list[str]:
    found = [request.id for request in await store.page(query, 1000)]
    assert await store.count(query) == len(found)
    return found


async def test_a_request_is_there_after_a_restart_as_it_was(tmp_path: Path) -> None:
    wanted = WantedPin(cid(1), "näme", ("/ip4/192.0.2.1/tcp/1/p2p/12D3",), {"a": "1", "ö": ""})
    async with open_request_store(tmp_path / "requests.db") as store:
        made = await store.add("x", "alice", wanted, 5)
    async with open_request_store(tmp_path / "requests.db") as store:
        assert await store.get("alice", "x") == made
        assert made.wanted == wanted
        assert await store.get("bob", "x") is None
        await store.remove("x")
        assert await store.get("alice", "x") is None


async def test_no_two_have_one_time_and_time_never_goes_back(store: RequestStore) -> None:
    times = [(await store.add(str(n), "alice", WantedPin(cid(n)), now)).created for n, now in
             enumerate([100, 100, 50, 101, 500])]  # fmt: skip
    assert times == [100, 101, 102, 103, 500]


async def test_an_owner_has_no_more_than_a_thousand_requests_for_one_cid() -> None:
    store = RequestStore(InlineDatabase(tables=SCHEMA))
    for number in range(MAX_OF_A_CID):
        await store.add(f"r{number}", "alice", WantedPin(cid(1)), number)
    with pytest.raises(TooManyOfOneCid, match="1000 requests for this CID"):
        await store.add("one more", "alice", WantedPin(cid(1)), 5000)
    await store.add("another", "alice", WantedPin(cid(2)), 5000)
    await store.add("bob's", "bob", WantedPin(cid(1)), 5000)
    await store.remove("r7")
    await store.add("one more", "alice", WantedPin(cid(1)), 5000)


async def test_each_condition_holds(store: RequestStore) -> None:
    named = [("Photos", {"k": "v"}), ("photos", {"k": "v", "l": "w"}), ("my photos", {})]
    for n, (name, meta) in enumerate(named):
        await store.add(str(n), "alice", WantedPin(cid(n), name, (), meta), 10 * n)
    await store.add("other", "bob", WantedPin(cid(0), "Photos"), 100)
    for query, expected in [
        (RequestQuery("alice"), ["2", "1", "0"]),
        (RequestQuery("bob"), ["other"]),
        (RequestQuery("carol"), []),
        (RequestQuery("alice", cids=(cid(0), cid(2), cid(7))), ["2", "0"]),
        (RequestQuery("alice", name="photos"), ["1"]),
        (RequestQuery("alice", name="photos", match=NameMatch.IEXACT), ["1", "0"]),
        (RequestQuery("alice", name="photos", match=NameMatch.PARTIAL), ["2", "1"]),
        (RequestQuery("alice", name="PHOTOS", match=NameMatch.IPARTIAL), ["2", "1", "0"]),
        (RequestQuery("alice", name="%", match=NameMatch.PARTIAL), []),
        (RequestQuery("alice", before=20), ["1", "0"]),
        (RequestQuery("alice", after=0), ["2", "1"]),
        (RequestQuery("alice", before=10.5, after=9.5), ["1"]),
        (RequestQuery("alice", meta={"k": "v"}), ["1", "0"]),
        (RequestQuery("alice", meta={"k": "v", "l": "w"}), ["1"]),
        (RequestQuery("alice", meta={"k": "w"}), []),
    ]:
        assert await ids(store, query) == expected, query


async def test_others_are_those_of_the_same_owner_and_cid(store: RequestStore) -> None:
    first = await store.add("1", "alice", WantedPin(cid(1)), 0)
    assert await store.others(first) == 0
    await store.add("2", "bob", WantedPin(cid(1)), 0)
    await store.add("3", "alice", WantedPin(cid(2)), 0)
    assert await store.others(first) == 0
    await store.add("4", "alice", WantedPin(cid(1)), 0)
    assert await store.others(first) == 1


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=8))
async def test_any_name_is_found_by_itself(name: str) -> None:
    store = RequestStore(InlineDatabase(tables=SCHEMA))
    await store.add("1", "alice", WantedPin(cid(1), name, (), {name: name}), 0)
    for match in NameMatch:
        assert await ids(store, RequestQuery("alice", name=name, match=match)) == ["1"]
    assert await ids(store, RequestQuery("alice", meta={name: name})) == ["1"]
