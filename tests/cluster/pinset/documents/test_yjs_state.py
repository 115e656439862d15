"""Documents of other members: what our writers make is read and joined, all else is refused or harmless."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycrdt import Array, Map
from support.pinset_member import some_cid
from support.yjs_updates import CLIENT, KEY, OTHER, nested, update_of

from cluster.errors import BadUpdate
from cluster.pinset.documents.document import Document
from cluster.pinset.documents.yjs_state import StatePart, parse_state
from cluster.pinset.documents.yjs_update import Deletion, parse

LIMIT = 1000


class Members:
    """Three writers of one document, each of whom hears of the others' updates in order, when it does."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.clients = random.sample(range(1, 1 << 53), 3)
        self.documents = {client: Document(client) for client in self.clients}
        self.log: list[tuple[int, bytes]] = []
        self.heard = dict.fromkeys(self.clients, 0)

    def live(self, steps: int) -> None:
        for _ in range(steps):
            client = self.random.choice(self.clients)
            if self.random.random() < 0.5:
                self.hear(client)
            else:
                self.write(client)

    def write(self, client: int) -> None:
        picked = self.random.sample(range(5), self.random.randrange(1, 4))
        wanted = b"%d" % len(self.log) if self.random.random() < 0.6 else None
        update, _ = self.documents[client].write({some_cid(number): wanted for number in picked})
        if update:
            self.log.append((client, update))

    def hear(self, client: int) -> None:
        for author, data in self.log[self.heard[client] :]:
            if author != client:
                self.documents[client].apply(data, parse(data, author, LIMIT))
        self.heard[client] = len(self.log)

    def parts(self, client: int) -> list[bytes]:
        """Its document as a store may hold it: whole, or as updates that came in order."""
        if self.random.random() < 0.5:
            return [self.documents[client].state()]
        self.hear(client)
        return [data for _, data in self.log] or [self.documents[client].state()]


def read(parts: list[bytes]) -> list[tuple[bytes, StatePart]]:
    return [(data, parse_state(data, LIMIT)) for data in parts]


def entries(document: Document) -> dict[str, dict[int, bytes]]:
    return {str(cid): dict(document.entries(cid)) for cid in document.cids()}


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32))
def test_documents_that_are_merged_at_any_moment_become_equal(seed: int) -> None:
    members = Members(Random(seed))
    members.live(40)
    one, two, _ = members.clients
    ahead, behind = members.documents[one], members.documents[two]
    before = entries(behind)
    changed = behind.merge(read(members.parts(one))) or {}
    ahead.merge(read([behind.state()]))
    assert ahead.digest() == behind.digest() == Document(1, [behind.state()]).digest()
    assert entries(ahead) == entries(behind)
    after = entries(behind)
    differing = {cid for cid in {*before, *after} if before.get(cid) != after.get(cid)}
    assert {str(cid): dict(was) for cid, was in changed.items() if str(cid) in differing} == {
        cid: before.get(cid, {}) for cid in differing
    }


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32))
def test_merged_documents_go_on_by_updates_and_merging_again_changes_nothing(seed: int) -> None:
    members = Members(Random(seed))
    members.live(30)
    for client in members.clients:
        members.hear(client)
    one, two, three = members.clients
    newcomer = Document(3)
    newcomer.merge(read([members.documents[one].state()]))
    assert newcomer.merge(read(members.parts(two))) is None
    update, _ = members.documents[three].write({some_cid(9): b"later"})
    parsed = parse(update, three, LIMIT)
    assert not newcomer.missing(parsed)
    newcomer.apply(update, parsed)
    assert newcomer.digest() == members.documents[three].digest()


def test_a_state_says_whose_items_it_has_and_what_is_left_of_removed_ones() -> None:
    one = Document(CLIENT)
    first = [one.write({some_cid(1): value})[0] for value in (b"a", b"b", None)]
    two = Document(OTHER, first)
    two.write({some_cid(1): b"c"})
    part = parse_state(two.state(), LIMIT)
    assert part.clocks == {CLIENT: (0, 2), OTHER: (0, 1)}
    assert part.values == (b"c",)
    assert set(part.cids) == {some_cid(1)}
    assert part.deletions == (Deletion(CLIENT, 0, 2),)


DELETED = b"\x01\x01\x4d\x00\x21\x01\x04pins" + bytes([len(KEY)]) + KEY.encode()


@pytest.mark.parametrize(
    "data",
    [
        update_of(client=OTHER),
        update_of(root="other"),
        update_of(key=str(some_cid(1))),
        update_of(value=b"v" * (LIMIT + 1)),
        update_of(value="text"),
        update_of(value=Array([1])),
        update_of(value=Map({"a": 1})),
        update_of() + b"\x00",
        update_of()[:-1],
        nested(3),
        nested(30_000),
        DELETED + b"\x00\x00",  # a deleted struct of no length
        DELETED + b"\xff\xff\xff\xff\x7f\x00",  # of more than yrs can count
        b"\x01\x01\x4d\x00\x00\x05\x00",  # garbage-collected
        b"\x01\x01\x4d\x00\x0a\x05\x00",  # a gap
        b"\x01\x00\x4d\x00\x00",
        b"\x02" + update_of()[1:-1] + update_of()[1:],  # one client twice
        b"",
        b"\xff" * 20,
    ],
)
def test_states_that_no_pinset_is_made_of_are_refused(data: bytes) -> None:
    with pytest.raises(BadUpdate):
        parse_state(data, LIMIT)


def test_a_part_that_builds_on_what_is_not_there_is_refused() -> None:
    one = Document(CLIENT)
    updates = [one.write({some_cid(1): value})[0] for value in (b"a", b"b", None)]
    for absent in updates[1:]:
        with pytest.raises(BadUpdate, match="builds on what is not in it"):
            Document(OTHER).merge(read([absent]))


def _honest() -> list[bytes]:
    states = []
    for seed in range(6):
        members = Members(Random(seed))
        members.live(25)
        states += [members.documents[client].state() for client in members.clients]
    return states


HONEST = _honest()


@settings(max_examples=200)
@given(
    number=st.integers(0, len(HONEST) - 1),
    changes=st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), min_size=1, max_size=4),
    onto=st.integers(0, len(HONEST) - 1),
)
def test_a_mutated_state_is_refused_or_harmless(
    number: int, changes: list[tuple[int, int]], onto: int
) -> None:
    data = bytearray(HONEST[number])
    for position, byte in changes:
        data[position % len(data)] = byte
    for document in (Document(OTHER), Document(OTHER, [HONEST[onto]])):
        try:
            document.merge(read([bytes(data)]))
        except BadUpdate:
            continue
        assert Document(OTHER, [document.state()]).digest() == document.digest()


@given(data=st.binary(max_size=80))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        parse_state(data, LIMIT)
    except BadUpdate:
        return
