"""One document: an observed-remove set that converges behind the causal gate."""

from __future__ import annotations

from hashlib import sha256
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycrdt import Doc, Map
from support.pinset_member import some_cid, some_pin

from blockstore.cid import CID
from cluster.common.pin_codec import encode_pin
from cluster.errors import BadUpdate
from cluster.pinset.documents.document import Document
from cluster.pinset.documents.lib0 import Reader
from cluster.pinset.documents.yjs_update import parse, read_key
from cluster.pinset.transaction import newest

ONE, TWO = some_cid(1), some_cid(2)


def give(document: Document, data: bytes, author: int) -> None:
    update = parse(data, author, 1000)
    assert not document.missing(update)
    document.apply(data, update)


def test_a_concurrent_pin_survives_an_unpin() -> None:
    a, b = Document(1), Document(2)
    pin, _ = a.write({ONE: b"first"})
    give(b, pin, 1)
    unpin, _ = a.write({ONE: None})
    again, _ = b.write({ONE: b"second"})
    give(b, unpin, 1)
    give(a, again, 2)
    assert a.entries(ONE) == b.entries(ONE) == {2: b"second"}
    assert a.digest() == b.digest()


def test_pinning_again_replaces_every_entry_seen() -> None:
    a, b = Document(1), Document(2)
    give(b, a.write({ONE: b"of a"})[0], 1)
    give(a, b.write({ONE: b"of b"})[0], 2)
    assert a.entries(ONE) == {2: b"of b"}


def test_an_unpin_removes_only_what_its_writer_has_seen() -> None:
    a, b = Document(1), Document(2)
    pin_a, _ = a.write({ONE: b"of a"})
    pin_b, _ = b.write({ONE: b"of b"})
    give(a, pin_b, 2)
    give(b, pin_a, 1)
    unpin, _ = a.write({ONE: None})
    give(b, unpin, 1)
    assert not b.entries(ONE)
    assert not a.write({ONE: None})[0], "there is nothing left to remove"


def test_a_change_returns_what_was_there_before() -> None:
    document = Document(1)
    assert document.write({ONE: b"x", TWO: b"y"})[1] == {ONE: {}, TWO: {}}
    assert document.write({ONE: b"z", TWO: None})[1] == {ONE: {1: b"x"}, TWO: {1: b"y"}}


def test_the_newest_stamp_decides_and_the_higher_writer_between_equals() -> None:
    old, new = encode_pin(some_pin(1, "old")).stamped(5), encode_pin(some_pin(1, "new")).stamped(6)
    assert newest({9: old, 1: new}) == new
    same = encode_pin(some_pin(1, "same")).stamped(6)
    assert newest({1: new, 2: same}) == same
    assert newest({}) is None


def test_an_update_that_deletes_what_is_not_here_has_to_wait() -> None:
    a, b = Document(1), Document(2)
    pin, _ = a.write({ONE: b"x"})
    give(b, pin, 1)
    unpin = parse(b.write({ONE: None})[0], 2, 1000)
    assert Document(3).missing(unpin)


def test_a_clock_used_twice_is_refused() -> None:
    a, restored = Document(1), Document(1)
    first = a.write({ONE: b"x"})[0]
    forked = parse(restored.write({TWO: b"y"})[0], 1, 1000)
    reader = Document(3)
    give(reader, first, 1)
    with pytest.raises(BadUpdate, match="starts at clock 0, not at 1"):
        reader.missing(forked)


def test_a_gap_in_an_authors_clocks_is_refused() -> None:
    a = Document(1)
    a.write({ONE: b"x"})
    second = parse(a.write({TWO: b"y"})[0], 1, 1000)
    with pytest.raises(BadUpdate, match="starts at clock 1, not at 0"):
        Document(3).missing(second)


class Author:
    """Holds back what must wait, and applies the rest as it comes."""

    def __init__(self, client: int) -> None:
        self.client = client
        self.document = Document(client)
        self.waiting: list[tuple[int, bytes]] = []

    def receive(self, author: int, data: bytes) -> None:
        self.waiting.append((author, data))
        progress = True
        while progress:
            progress = False
            for message in list(self.waiting):
                progress |= self._try(*message)

    def _try(self, author: int, data: bytes) -> bool:
        update = parse(data, author, 1000)
        if update.entries and update.start < self.document.clock(author):
            self.waiting.remove((author, data))  # a repetition
            return False
        if update.entries and update.start > self.document.clock(author):
            return False
        if self.document.missing(update):
            return False
        self.document.apply(data, update)
        self.waiting.remove((author, data))
        return True


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32))
def test_authors_converge_in_whatever_order_updates_come(seed: int) -> None:
    random = Random(seed)
    authors = [Author(client) for client in random.sample(range(1, 10**6), 4)]
    inboxes: dict[int, list[tuple[int, bytes]]] = {author.client: [] for author in authors}

    def deliver(author: Author, share: float) -> None:
        inbox = inboxes[author.client]
        for _ in range(int(len(inbox) * share)):
            message = inbox.pop(random.randrange(len(inbox)))
            if random.random() < 0.1:
                inbox.append(message)
            author.receive(*message)

    for step in range(40):
        author = random.choice(authors)
        wanted = b"%d" % step if random.random() < 0.65 else None
        data, _ = author.document.write({some_cid(random.randrange(3)): wanted})
        for other in authors:
            if data and other is not author:
                inboxes[other.client].append((author.client, data))
        deliver(random.choice(authors), random.random())
    while any(inboxes.values()):
        for author in authors:
            deliver(author, 1.0)
    assert len({author.document.digest() for author in authors}) == 1
    assert Document(5, [authors[0].document.state()]).digest() == authors[1].document.digest()


def test_the_digest_is_the_sum_of_its_parts() -> None:
    """Members compare it over the network: entries, clocks and joined ranges of deletions."""
    document = Document(1)
    document.write({ONE: b"x", TWO: b"y"})
    document.write({ONE: b"z", TWO: None})
    parts = (b"e%s/1\0z" % str(ONE).encode(), b"c1 3", b"d1 0 2")
    hashes = (int.from_bytes(sha256(part).digest()[:10]) for part in parts)
    assert document.digest() == sum(hashes) % (1 << 80)


CHANGES = st.lists(
    st.tuples(
        st.integers(0, 2), st.dictionaries(st.integers(0, 3), st.none() | st.binary(max_size=5), min_size=1)
    ),
    max_size=30,
)


@settings(max_examples=60)
@given(CHANGES)
def test_pycrdts_own_classes_see_the_same_document(
    history: list[tuple[int, dict[int, bytes | None]]],
) -> None:
    """The oracle has every update by its public interface: entries, clocks, what each change reports."""
    documents = [Document(client) for client in (1, 2, 3)]
    oracle: Doc[Map[bytes]] = Doc()
    pins = oracle.get("pins", type=Map)
    for writer, wanted in history:
        changes = {some_cid(number): value for number, value in wanted.items()}
        held = grouped(pins)
        data, before = documents[writer].write(changes)
        assert before == {
            cid: held.get(cid, {}) for cid, value in changes.items() if value is not None or cid in held
        }
        if data:
            oracle.apply_update(data)
        for reader in documents:
            if data and reader is not documents[writer]:
                update = parse(data, writer + 1, 1000)
                assert not reader.missing(update)
                assert reader.apply(data, update) == before
            assert {cid: reader.entries(cid) for cid in reader.cids()} == grouped(pins)
    clocks = Reader(oracle.get_state())
    assert {clocks.integer(): clocks.integer() for _ in range(clocks.integer())} == {
        client: documents[0].clock(client) for client in (1, 2, 3) if documents[0].clock(client)
    }
    again = Document(9, [oracle.get_update()])
    assert again.digest() == documents[0].digest()


def grouped(pins: Map[bytes]) -> dict[CID, dict[int, bytes]]:
    found: dict[CID, dict[int, bytes]] = {}
    for key, value in (pins.to_py() or {}).items():
        cid, client = read_key(key)
        found.setdefault(cid, {})[client] = bytes(value)
    return found
