"""What a void client wrote goes without a trace, and what others wrote stays as it was."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from support.pinset_member import some_cid, some_pin

from cluster.common.pin_codec import encode_pin
from cluster.common.wire import MAX_VALUE_BYTES
from cluster.pinset.documents.document import Document
from cluster.pinset.documents.void_clients import deletions_alone, without_clients
from cluster.pinset.documents.yjs_state import parse_state
from cluster.pinset.documents.yjs_update import parse

CLIENTS = (3, 1 << 40, (1 << 53) - 1)
VOID = frozenset({1 << 40})
NUMBERS = range(4)
WRITES = st.lists(
    st.tuples(st.sampled_from(CLIENTS), st.sampled_from(NUMBERS), st.none() | st.integers(0, 99)), max_size=40
)


def value(name: int) -> bytes:
    return encode_pin(some_pin(1, str(name))).stamped(name + 1)


def written(writes: list[tuple[int, int, int | None]]) -> tuple[bytes, list[tuple[int, bytes]]]:
    """The document that these writes make one after another, and the update of each."""
    state, updates = b"", []
    for client, number, name in writes:
        document = Document(client, [state] if state else [])
        update, _ = document.write({some_cid(number): None if name is None else value(name)})
        state = document.state()
        if update:
            updates.append((client, update))
    return state, updates


@given(writes=WRITES)
def test_a_document_without_a_client_is_the_one_that_the_others_updates_make(
    writes: list[tuple[int, int, int | None]],
) -> None:
    state, updates = written(writes)
    if not updates:
        return
    whole, rest = Document(1, [state]), Document(1, [without_clients(state, VOID)])
    stepwise = Document(1)
    for client, update in updates:
        kept = without_clients(update, VOID)
        read = parse(kept, client, MAX_VALUE_BYTES)
        assert not stepwise.missing(read), "nothing of the others builds on what is left out"
        stepwise.apply(kept, read)
    assert rest.digest() == stepwise.digest()
    for number in NUMBERS:
        entries = whole.entries(some_cid(number))
        kept_entries = {client: one for client, one in entries.items() if client not in VOID}
        assert dict(rest.entries(some_cid(number))) == kept_entries
    part = parse_state(rest.state(), MAX_VALUE_BYTES)
    assert not VOID & part.clocks.keys()
    assert not VOID & {one.client for one in part.deletions}
    assert without_clients(rest.state(), VOID) == rest.state()


@given(writes=WRITES)
def test_deletions_are_said_again_alone(writes: list[tuple[int, int, int | None]]) -> None:
    for client, update in written(writes)[1]:
        read = parse(update, client, MAX_VALUE_BYTES)
        again = parse(deletions_alone(read.deletions), 7, MAX_VALUE_BYTES)
        assert (set(again.deletions), again.entries) == (set(read.deletions), ())
