"""Foreign Yjs updates: what our writer makes is read exactly, all else is refused before the CRDT sees it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycrdt import Array, Doc, Map, Text
from support.pinset_member import some_cid
from support.yjs_updates import CLIENT, OTHER, nested, update_of

from cluster.errors import BadUpdate
from cluster.pinset.documents.document import Document
from cluster.pinset.documents.yjs_update import Deletion, MapEntry, entry_key, parse, read_key

LIMIT = 1000


def test_entries_replacements_and_deletions_are_read() -> None:
    document = Document(CLIENT)
    first, _ = document.write({some_cid(1): b"one"})
    second, _ = document.write({some_cid(1): b"two"})
    third, _ = document.write({some_cid(1): None})
    assert parse(first, CLIENT, LIMIT).entries == (MapEntry(some_cid(1), b"one"),)
    assert parse(second, CLIENT, LIMIT).entries == (MapEntry(None, b"two", origin=0),)
    assert parse(second, CLIENT, LIMIT).deletions == (Deletion(CLIENT, 0, 1),)
    assert parse(third, CLIENT, LIMIT).deletions == (Deletion(CLIENT, 1, 2),)
    assert parse(third, CLIENT, LIMIT).entries == ()


@pytest.mark.parametrize(
    "data",
    [
        update_of(client=OTHER),
        update_of(root="other"),
        update_of(key="k" * 600),
        update_of(key=entry_key(some_cid(1), OTHER)),
        update_of(key=str(some_cid(1))),
        update_of(value=b"v" * (LIMIT + 1)),
        update_of(value="text"),
        update_of(value={"a": 1}),
        update_of(value=Array([1])),
        update_of(value=Map({"a": 1})),
        update_of(value=Text("x")),
        update_of() + b"\x00",
        update_of()[:-1],
        nested(3),
        nested(30_000),
        b"",
        b"\xff" * 20,
    ],
)
def test_updates_that_our_writer_would_not_make_are_refused(data: bytes) -> None:
    with pytest.raises(BadUpdate):
        parse(data, CLIENT, LIMIT)


def test_the_nested_update_that_is_refused_would_have_killed_the_process() -> None:
    apply = f"from pycrdt import Doc; Doc().apply_update(bytes.fromhex({nested(30_000).hex()!r}))"
    assert subprocess.run([sys.executable, "-c", apply], check=False, capture_output=True).returncode < 0


def test_another_clients_entry_cannot_be_replaced() -> None:
    mine = Document(CLIENT)
    first, _ = mine.write({some_cid(1): b"mine"})
    doc: Doc[Map[bytes]] = Doc(client_id=OTHER)
    doc.apply_update(first)
    state = doc.get_state()
    doc.get("pins", type=Map)[entry_key(some_cid(1), CLIENT)] = b"forged"
    with pytest.raises(BadUpdate, match="replaces one of another author"):
        parse(doc.get_update(state), OTHER, LIMIT)


def _states() -> list[bytes]:
    document = Document(CLIENT)
    updates = []
    for number in range(30):
        wanted = b"value %d" % number if number % 4 else None
        updates.append(document.write({some_cid(number % 7): wanted})[0])
    return [update for update in updates if update]


HONEST = _states()


@settings(max_examples=300)
@given(
    number=st.integers(0, len(HONEST) - 1),
    changes=st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), min_size=1, max_size=4),
)
def test_a_mutated_update_is_refused_or_harmless(number: int, changes: list[tuple[int, int]]) -> None:
    document = Document(OTHER, HONEST[:number])
    data = bytearray(HONEST[number])
    for position, byte in changes:
        data[position % len(data)] = byte
    try:
        update = parse(bytes(data), CLIENT, LIMIT)
        if not document.missing(update):
            document.apply(bytes(data), update)
    except BadUpdate:
        return
    assert Document(OTHER, [document.state()]).digest() == document.digest()


@given(data=st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        parse(data, CLIENT, LIMIT)
    except BadUpdate:
        return


def test_the_honest_form_of_those_is_read() -> None:
    assert parse(update_of(), CLIENT, LIMIT).entries == (MapEntry(some_cid(1), b"v"),)


@pytest.mark.parametrize("key", ["", "x", "{}", "{}/", "{}/0F", "{}/f/f", "{}/0x1", "{}/-1", "Qm/1"])
def test_keys_in_another_form_are_refused(key: str) -> None:
    with pytest.raises(BadUpdate):
        read_key(key.format(some_cid(1)))


def test_a_key_names_its_pin_and_writer() -> None:
    assert read_key(entry_key(some_cid(1), 255)) == (some_cid(1), 255)
