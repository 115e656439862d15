"""Statuses by key range: what members say in columns, not believed, and merged page by page."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.clock import virtual_time
from support.memory_cluster import MemoryCluster, cid
from support.memory_pinset import PinsetView, SharedPins
from support.pinned_together import keep, seed

from cluster.calls.columns_codec import decode_columns, encode_columns
from cluster.calls.global_page import GlobalPage
from cluster.calls.status_pages import FIRST_PAGE, PAGE, Columns, StatusPages
from cluster.common.wire import decode, encode
from cluster.errors import BadUpdate
from cluster.interfaces import Member, Role, StoredPins
from cluster.pin import KeyRange, Pin, PinInfo, PinOptions, Status
from cluster.ports import CallFailed
from cluster.tracking.status import EVERY_STATUS, StatusRow
from cluster.tracking.status_columns import PinnedColumns, RemoteColumns, StatusColumns

US, THEM = Member("A", "us", Role.TRUSTED), Member("B", "them", Role.TRUSTED)
WHOLE = KeyRange()
times = st.floats(allow_nan=False, allow_infinity=False)
counts = st.integers(0, (1 << 63) - 1)
kinds = st.dictionaries(
    st.integers(1, 500), st.tuples(st.sampled_from("pro"), times, counts, counts), max_size=20
)


def key(number: int) -> bytes:
    return bytes(cid(number))


def columns(
    pinned: Sequence[int] = (),
    remote: Sequence[int] = (),
    errors: Sequence[int] = (),
    until: bytes = WHOLE.until,
) -> StatusColumns:
    return StatusColumns(
        PinnedColumns([key(n) for n in pinned], [1.5] * len(pinned), [2] * len(pinned), [3] * len(pinned)),
        RemoteColumns([key(n) for n in remote], [1.5] * len(remote)),
        tuple(StatusRow(cid(n), PinInfo("B", "them", Status.PIN_ERROR, 1.0, "why")) for n in errors),
        until,
    )


@given(kinds)
def test_columns_survive_the_wire(said: dict[int, tuple[str, float, int, int]]) -> None:
    pinned = [
        (key(n), since, blocks, size)
        for n, (kind, since, blocks, size) in sorted(said.items())
        if kind == "p"
    ]
    remote = [(key(n), since) for n, (kind, since, _, _) in sorted(said.items()) if kind == "r"]
    others = columns(errors=[n for n, (kind, *_) in sorted(said.items()) if kind == "o"]).rows
    sent = StatusColumns(
        PinnedColumns(*(tuple(row[i] for row in pinned) for i in range(4))),  # type: ignore[arg-type]
        RemoteColumns(*(tuple(row[i] for row in remote) for i in range(2))),  # type: ignore[arg-type]
        others,
        key(500),
    )
    read = decode_columns("B", "them", encode_columns(sent), KeyRange(key(0), key(500)), 20)
    assert read == replace(
        sent,
        pinned=replace(sent.pinned, cids=list(sent.pinned.cids)),
        remote=replace(sent.remote, cids=list(sent.remote.cids)),
    )


@given(st.binary(max_size=300))
def test_any_bytes_are_columns_or_a_bad_update(data: bytes) -> None:
    with suppress(BadUpdate):
        decode_columns("B", "", data, WHOLE, 10)


@pytest.mark.parametrize(
    "said",
    [
        columns([2, 1]),
        columns([1, 1]),
        columns(remote=[3, 2]),
        columns(errors=[3, 2]),
        columns([1]),  # before the range
        columns([9], until=key(8)),
        columns(until=key(1)),  # no step further
        columns(until=key(99)),  # further than asked for
        columns([2, 3, 4], [5, 6], [7]),  # too many
    ],
    ids=str,
)
def test_columns_that_are_not_what_was_asked_for_are_refused(said: StatusColumns) -> None:
    with pytest.raises(BadUpdate):
        decode_columns("B", "", encode_columns(said), KeyRange(key(1), key(50)), 5)


@pytest.mark.parametrize(
    ("field", "odd"),
    [
        ("pinned_lengths", b"\x24\x25"),
        ("pinned_lengths", b""),
        ("pinned_since", struct.pack(">2d", float("nan"), 1)),
        ("pinned_since", struct.pack(">1d", 1)),
        ("blocks", struct.pack(">2Q", 1 << 63, 1)),
        ("blocks", b""),
        ("sizes", 7),
        ("remote_since", b"12345678"),
        ("until", b"\x01" * 300),
        ("rows", [{}]),
    ],
)
def test_a_field_that_contradicts_the_others_is_refused(field: str, odd: object) -> None:
    fields = decode(encode_columns(columns([2, 3], until=key(50))), 10_000)
    assert isinstance(fields, dict)
    decode_columns("B", "", encode(fields), KeyRange(key(1), key(50)), 5)
    with pytest.raises(BadUpdate):
        decode_columns("B", "", encode({**fields, field: odd}), KeyRange(key(1), key(50)), 5)


def pins(numbers: Sequence[int]) -> SharedPins:
    options = PinOptions(replication_min=2, replication_max=2)
    return SharedPins({cid(n): Pin(cid(n), options, ("A", "B"), 1.5) for n in numbers})


def pinset(numbers: Sequence[int]) -> PinsetView:
    return PinsetView(pins(numbers))


def said_by(answer: Callable[[KeyRange], StatusColumns]) -> Columns:
    async def ask(keys: KeyRange) -> StatusColumns:
        return answer(keys)

    return ask


def failure(member: Member, error: Exception) -> PinInfo:
    return PinInfo(member.peer, member.name, Status.CLUSTER_ERROR, 5.0, str(error))


def within(keys: KeyRange, numbers: Sequence[int]) -> list[int]:
    return [n for n in numbers if keys.after < key(n) <= keys.until]


async def listed(pages: StatusPages) -> list[tuple[bytes, dict[str, str], bool]]:
    """Of each CID that is shown: who says what, and whether it is known as a pin."""
    found = []
    async for page in pages.pages():
        found += [(one, told, one in page.pins) for one in page.keys if (told := told_in(page, one))]
    return found


def told_in(page: GlobalPage, one: bytes) -> dict[str, str]:
    told: dict[str, str] = {}
    for member in page.members:
        if one in member.pinned or one in member.remote:
            told[member.peer] = "pinned" if one in member.pinned else "remote"
        elif one in member.others:
            told[member.peer] = member.others[one].status
        elif member.failed is not None:
            told[member.peer] = member.failed.status
    return told


async def test_pages_of_two_members_are_merged_and_what_only_one_has_is_in_its_place() -> None:
    both, ours, theirs = range(0, 3000, 2), range(1, 3000, 8), range(3, 3000, 8)
    pages = StatusPages(
        pinset([*both, *ours]),
        {
            US: said_by(lambda keys: columns(within(keys, sorted([*both, *ours])), until=keys.until)),
            THEM: said_by(
                lambda keys: columns(within(keys, both), errors=within(keys, theirs), until=keys.until)
            ),
        },
        failure,
        True,
    )
    expected = {
        **{key(n): ({"A": "pinned", "B": "pinned"}, True) for n in both},
        **{key(n): ({"A": "pinned"}, True) for n in ours},
        **{key(n): ({"B": "pin_error"}, False) for n in theirs},
    }
    assert await listed(pages) == [(one, *expected[one]) for one in sorted(expected)]


async def test_a_member_that_has_more_than_fits_is_asked_again_and_nothing_is_lost() -> None:
    theirs = range(2500)
    asked: list[KeyRange] = []

    def a_few(keys: KeyRange) -> StatusColumns:
        asked.append(keys)
        fits = within(keys, theirs)[:100]
        return columns(fits, until=key(fits[-1]) if len(fits) == 100 else keys.until)

    ask = {US: said_by(lambda keys: columns(until=keys.until)), THEM: said_by(a_few)}
    found = await listed(StatusPages(pinset([5, 2000]), ask, failure, True))
    assert [one for one, _, _ in found] == [key(n) for n in theirs]
    assert {one for one, _, known in found if known} == {key(5), key(2000)}
    assert len(asked) < 30


async def test_a_member_that_fails_half_way_is_shown_from_there_on_what_it_is_to_hold() -> None:
    numbers = range(FIRST_PAGE + PAGE + 50)

    def until_it_fails(keys: KeyRange) -> StatusColumns:
        if keys.after >= key(FIRST_PAGE + 10):
            raise CallFailed("its disk broke")
        return columns(within(keys, numbers), until=keys.until)

    asked: list[KeyRange] = []

    def noting(keys: KeyRange) -> StatusColumns:
        asked.append(keys)
        return until_it_fails(keys)

    ours = said_by(lambda keys: columns(within(keys, numbers), until=keys.until))
    found = await listed(StatusPages(pinset(numbers), {US: ours, THEM: said_by(noting)}, failure, False))
    broken = [n for n, (_, told, _) in enumerate(found) if told["B"] == "cluster_error"]
    assert broken == list(range(FIRST_PAGE + PAGE, FIRST_PAGE + PAGE + 50))
    assert len(asked) == 3


async def test_a_member_that_makes_up_keys_is_a_failed_one() -> None:
    def made_up(keys: KeyRange) -> StatusColumns:
        return replace(columns(until=keys.until), remote=RemoteColumns([b"\x02 no CID"], [1.0]))

    ask = {US: said_by(lambda keys: columns(within(keys, [1]), until=keys.until)), THEM: said_by(made_up)}
    assert await listed(StatusPages(pinset([1]), ask, failure, True)) == [
        (key(1), {"A": "pinned", "B": "cluster_error"}, True)
    ]


class DamagedPinset(PinsetView):
    async def stored(self, keys: KeyRange, limit: int) -> StoredPins:
        found = await super().stored(keys, limit)
        odd = [
            b"\xff" if one == key(2) else value for one, value in zip(found.cids, found.values, strict=True)
        ]
        return replace(found, values=odd)


async def test_a_pin_that_cannot_be_read_hides_no_other_and_is_told_at_the_end() -> None:
    view = DamagedPinset(pins([1, 2, 3]))
    ask = {US: said_by(lambda keys: columns(within(keys, [1, 2, 3]), until=keys.until))}
    shown: list[bytes] = []
    pages = StatusPages(view, ask, failure, True).pages()
    with pytest.raises(BadUpdate, match=key(2).hex()):
        await gathered(pages, shown)
    assert shown == [key(1), key(3)]


async def gathered(pages: AsyncIterator[GlobalPage], shown: list[bytes]) -> None:
    async for page in pages:
        shown += page.keys


@virtual_time
async def test_a_member_of_the_release_before_says_the_same_in_its_own_way() -> None:
    world = MemoryCluster(3)
    for number in range(2300):
        seed(world, number, [world.peers[number % 3], world.peers[(number + 1) % 3]])
        keep(world, number % 3, [number])
        keep(world, (number + 1) % 3, [] if number % 50 == 0 else [number])
    async with world.all() as clusters:
        await asyncio.sleep(1)
        now = await rows(clusters[0].statuses.pages(EVERY_STATUS))
        world.machines[1].port.methods.forget("pins/columns")
        assert await rows(clusters[0].statuses.pages(EVERY_STATUS)) == now
        assert len(now) == 2300
        assert (world.peers[1], "pins/statuses") in world.machines[0].port.called


async def rows(pages: AsyncIterator[GlobalPage]) -> list[tuple[bytes, dict[str, str]]]:
    return [(one, told_in(page, one)) async for page in pages for one in page.keys]
