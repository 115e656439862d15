"""What peers want of us, as a table of events; and whose turn it is."""

from __future__ import annotations

from collections import Counter

import pytest

from bitswap.message import Message, Payload, Presence, WantlistEntry, WantType
from bitswap.message_codec import MAX_MESSAGE_BYTES, encode
from bitswap.serving.peer_ledger import BATCH_BYTES, BATCH_ENTRIES, PeerLedger
from bitswap.serving.peer_ledgers import LedgerBounds, PeerLedgers
from bitswap.serving.response_batch import ResponseBatch
from blockstore.block import MAX_BLOCK_BYTES, Block
from blockstore.cid import CID

CIDS = [Block.of(b"block %d" % number).cid for number in range(12)]
C0, C1, C2 = CIDS[:3]
HAVE, BLOCK = WantType.HAVE, WantType.BLOCK


def ask(cid: CID, kind: WantType = BLOCK, priority: int = 1, dont_have: bool = True) -> WantlistEntry:
    return WantlistEntry(cid, kind, priority, send_dont_have=dont_have)


def drop(cid: CID) -> WantlistEntry:
    return WantlistEntry(cid, cancel=True)


def told(
    ledger: PeerLedger, entries: list[WantlistEntry], size: int | None = 4096, *, full: bool = False
) -> None:
    """These entries came, and the store has each block with that size."""
    fresh = ledger.on_entries(entries, full)
    ledger.on_sizes(fresh, [size] * len(fresh))


def answers(ledger: PeerLedger) -> tuple[list[CID], list[Presence]]:
    batch = ledger.take()
    return list(batch.blocks), list(batch.presences)


@pytest.mark.parametrize(
    ("entry", "size", "blocks", "presences"),
    [
        (ask(C0, BLOCK), 5000, [C0], []),
        (ask(C0, BLOCK), 0, [C0], []),
        (ask(C0, BLOCK), None, [], [Presence(C0, False)]),
        (ask(C0, BLOCK, dont_have=False), None, [], []),
        (ask(C0, BLOCK), MAX_BLOCK_BYTES, [C0], []),
        (ask(C0, BLOCK), MAX_BLOCK_BYTES + 1, [], [Presence(C0, False)]),
        (ask(C0, HAVE), 5000, [], [Presence(C0, True)]),
        (ask(C0, HAVE), 1024, [C0], []),
        (ask(C0, HAVE), 1025, [], [Presence(C0, True)]),
        (ask(C0, HAVE), None, [], [Presence(C0, False)]),
        (ask(C0, HAVE, dont_have=False), None, [], []),
    ],
)
def test_a_want_is_answered(
    entry: WantlistEntry, size: int | None, blocks: list[CID], presences: list[Presence]
) -> None:
    ledger = PeerLedger("amy")
    told(ledger, [entry], size)
    assert answers(ledger) == (blocks, presences)


def test_a_missing_block_is_kept_in_mind_and_sent_when_it_arrives() -> None:
    ledger = PeerLedger("amy")
    told(ledger, [ask(C0)], None)
    assert answers(ledger) == ([], [Presence(C0, False)])
    assert ledger.among({C0.multihash: C0}) == {C0.multihash}
    ledger.on_sizes([C0], [7000])
    assert answers(ledger) == ([C0], [])
    ledger.on_sent([C0])
    assert len(ledger) == 0


def test_a_block_that_arrives_before_its_dont_have_goes_out_replaces_it() -> None:
    ledger = PeerLedger("amy")
    told(ledger, [ask(C0)], None)
    ledger.on_sizes([C0], [10])
    assert answers(ledger) == ([C0], [])


def test_a_cancel_stops_a_queued_block_and_one_already_read() -> None:
    ledger = PeerLedger("amy")
    told(ledger, [ask(C0), ask(C1), ask(C2)])
    batch = ledger.take()
    told(ledger, [ask(CIDS[3]), drop(C1), drop(CIDS[3])])
    assert ledger.still_wanted(batch.blocks) == [C0, C2]
    assert not ledger.has_work
    assert ledger.queued_bytes == 0


def test_the_last_word_of_a_message_on_a_block_counts() -> None:
    ledger = PeerLedger("amy")
    told(ledger, [drop(C0), ask(C0), ask(C1), drop(C1)])
    assert ledger.wantlist() == (C0,)


def test_a_full_wantlist_replaces_what_was() -> None:
    ledger = PeerLedger("amy")
    told(ledger, [ask(C0), ask(C1)])
    told(ledger, [ask(C1), ask(C2)], full=True)
    assert set(ledger.wantlist()) == {C1, C2}
    assert set(answers(ledger)[0]) == {C1, C2}


def test_higher_priority_is_served_first() -> None:
    ledger = PeerLedger("amy")
    told(ledger, [ask(C0, priority=1), ask(C1, priority=9), ask(C2, priority=5)])
    assert answers(ledger)[0] == [C1, C2, C0]


def test_asking_for_the_block_outranks_asking_whether_it_is_here() -> None:
    ledger = PeerLedger("amy")
    told(ledger, [ask(C0, HAVE, dont_have=False)], None)
    told(ledger, [ask(C0, BLOCK)], None)
    ledger.on_sizes([C0], [5000])
    assert answers(ledger) == ([C0], [])


def test_a_want_repeated_while_its_block_is_on_the_way_is_sent_once() -> None:
    ledger = PeerLedger("amy")
    told(ledger, [ask(C0)])
    ledger.take()
    told(ledger, [ask(C0)])
    assert not ledger.has_work


def test_many_small_blocks_share_a_batch_and_large_ones_do_not() -> None:
    ledger = PeerLedger("amy")
    told(ledger, [ask(cid) for cid in CIDS[:8]], BATCH_BYTES // 4)
    assert [len(ledger.take().blocks) for _ in range(2)] == [4, 4]
    told(ledger, [ask(cid) for cid in CIDS[8:10]], 2 * BATCH_BYTES)
    assert [len(ledger.take().blocks) for _ in range(2)] == [1, 1]


def test_above_its_bound_a_peer_loses_the_lowest_priority_and_the_newest_and_is_told() -> None:
    ledger = PeerLedger("amy", max_entries=3)
    told(ledger, [ask(C0, priority=5), ask(C1, priority=1), ask(C2, priority=5)], None)
    ledger.take()
    told(ledger, [ask(CIDS[3], priority=5), ask(CIDS[4], priority=5)], None)
    assert ledger.wantlist() == (C0, C2, CIDS[3])
    assert {presence.cid for presence in ledger.take().presences} == {C1, CIDS[3], CIDS[4]}


def test_a_peer_that_asks_and_never_reads_is_bounded_in_everything() -> None:
    ledger = PeerLedger("amy", max_entries=4)
    for _ in range(50):
        told(ledger, [ask(cid) for cid in CIDS], None)
        told(ledger, [ask(cid, HAVE) for cid in CIDS])
        told(ledger, [drop(cid) for cid in CIDS])
    assert len(ledger) == 0
    told(ledger, [ask(cid) for cid in CIDS], None)
    assert len(ledger) == 4
    assert len(ledger.take().presences) <= 4


def test_the_largest_answer_fits_into_a_message() -> None:
    long = [CID.v1(2**62, b"\x91\x92\x13\x80\x01" + number.to_bytes(128, "big")) for number in range(2000)]
    block = Block.of(bytes(MAX_BLOCK_BYTES))
    ledger = PeerLedger("amy")
    told(ledger, [ask(cid, HAVE) for cid in long], None)
    told(ledger, [ask(block.cid)], MAX_BLOCK_BYTES)
    batch = ledger.take()
    assert (len(batch.blocks), len(batch.presences)) == (1, BATCH_ENTRIES)
    wire = encode(Message(payloads=(Payload.of(block),), presences=batch.presences))
    assert len(wire) < batch.cost + 40_000 < MAX_MESSAGE_BYTES


def test_a_block_deleted_before_it_is_read_is_denied_and_kept_in_mind() -> None:
    ledger = PeerLedger("amy")
    told(ledger, [ask(C0)])
    ledger.take()
    ledger.on_gone(C0)
    assert answers(ledger) == ([], [Presence(C0, False)])
    assert ledger.wantlist() == (C0,)


def test_it_prints_what_is_wanted_and_queued() -> None:
    ledger = PeerLedger("amy")
    told(ledger, [ask(C0)], 5000)
    told(ledger, [ask(C1)], None)
    assert repr(ledger) == "<PeerLedger of amy: 2 wants; queued 1 blocks of 5000 bytes, 1 presences>"


# Turns.


def stock(ledgers: PeerLedgers, peer: str, count: int, size: int) -> None:
    """That peer wants so many blocks, and all are here."""
    cids = [Block.of(f"{peer} {number}".encode()).cid for number in range(count)]
    fresh = ledgers.on_entries(peer, [ask(cid) for cid in cids], False)
    ledgers.on_sizes(peer, fresh, [size] * len(fresh))


def served(ledgers: PeerLedgers, batches: int) -> dict[str, int]:
    """Bytes a peer, when each batch is sent at once."""
    given: dict[str, int] = {}
    for _ in range(batches):
        turn = ledgers.next(0.0)
        if turn is None:
            break
        ledger, batch = turn
        given[batch.peer] = given.get(batch.peer, 0) + batch.cost
        ledgers.release(ledger, batch, batch.blocks)
    return given


def held(ledgers: PeerLedgers) -> list[ResponseBatch]:
    """All that goes out while nobody reads."""
    return [turn[1] for turn in iter(lambda: ledgers.next(0.0), None)]


def test_turns_are_fair_by_bytes_not_by_blocks() -> None:
    ledgers = PeerLedgers()
    stock(ledgers, "big", 64, 1024 * 1024)
    stock(ledgers, "small", 2000, 64 * 1024)
    given = served(ledgers, 40)
    assert abs(given["big"] - given["small"]) <= 1024 * 1024


def test_who_was_idle_starts_level_with_the_others() -> None:
    ledgers = PeerLedgers()
    stock(ledgers, "old", 64, 1024 * 1024)
    served(ledgers, 30)
    stock(ledgers, "new", 64, 1024 * 1024)
    given = served(ledgers, 20)
    assert abs(given["old"] - given["new"]) <= 1024 * 1024


def test_a_peer_that_does_not_read_holds_four_mebibytes_and_no_more() -> None:
    ledgers = PeerLedgers()
    stock(ledgers, "slow", 64, 1024 * 1024)
    assert sum(batch.cost for batch in held(ledgers)) == 4 * 1024 * 1024
    stock(ledgers, "fast", 8, 1024 * 1024)
    assert served(ledgers, 8) == {"fast": 8 * 1024 * 1024}


def test_many_peers_that_do_not_read_leave_memory_bounded_and_others_served() -> None:
    ledgers = PeerLedgers()
    for number in range(8):
        stock(ledgers, f"slow{number}", 64, 1024 * 1024)
        held(ledgers)
    stock(ledgers, "fast", 8, 1024 * 1024)
    assert sum(ledger.held for ledger in ledgers) <= 32 * 1024 * 1024
    assert served(ledgers, 8) == {"fast": 8 * 1024 * 1024}


def test_presences_alone_are_bounded_in_flight_too() -> None:
    ledgers = PeerLedgers()
    for number in range(10):
        cid = Block.of(b"%d" % number).cid
        ledgers.on_sizes("amy", ledgers.on_entries("amy", [ask(cid, HAVE)], False), [None])
        ledgers.next(0.0)
    (ledger,) = ledgers
    assert ledger.batches == 4


def test_wants_are_bounded_over_all_peers() -> None:
    ledgers = PeerLedgers(LedgerBounds(wants_per_peer=100, wants=256))
    for number in range(8):
        stock(ledgers, f"p{number}", 100, 10)
    assert [len(ledger) for ledger in ledgers] == [100, 100, 85, 64, 64, 64, 64, 64]


def test_a_disconnect_drops_the_ledger_and_frees_what_it_held() -> None:
    ledgers = PeerLedgers()
    stock(ledgers, "amy", 8, 1024 * 1024)
    turn = ledgers.next(0.0)
    assert turn is not None
    ledgers.on_disconnect("amy")
    assert ledgers.of("amy") is None
    assert ledgers.next(0.0) is None
    ledgers.release(*turn)
    assert repr(ledgers) == "<PeerLedgers of 0 peers, 0 ready, 0 bytes unsent>"


def test_a_stored_block_goes_to_all_who_wait_for_it() -> None:
    ledgers = PeerLedgers()
    for peer in ("amy", "bob"):
        ledgers.on_sizes(peer, ledgers.on_entries(peer, [ask(C0, dont_have=False)], False), [None])
    assert ledgers.next(0.0) is None
    assert ledgers.awaited([C1, C0]) == {"amy": [C0], "bob": [C0]}
    for peer in ("amy", "bob"):
        ledgers.on_sizes(peer, [C0], [9])
    assert {batch.peer for batch in held(ledgers)} == {"amy", "bob"}


def test_a_stranger_is_given_its_rate_and_a_friend_and_others_go_on() -> None:
    mib = 1024 * 1024
    ledgers = PeerLedgers(LedgerBounds(rate=mib, friends=frozenset({"friend"})))
    for peer in ("stranger", "other", "friend"):
        stock(ledgers, peer, 64, mib)
    given: Counter[str] = Counter()
    now = 0.0
    while now < 10:
        while (turn := ledgers.next(now)) is not None:
            given[turn[1].peer] += turn[1].block_bytes
            ledgers.release(*turn)
        now += ledgers.wait(now)
    assert given["friend"] == 64 * mib
    assert all(10 * mib <= given[peer] <= 12 * mib for peer in ("stranger", "other"))


def test_connecting_again_gives_no_new_allowance() -> None:
    ledgers = PeerLedgers(LedgerBounds(rate=64 * 1024))
    stock(ledgers, "amy", 4, 1024 * 1024)
    assert ledgers.next(0.0) is not None
    ledgers.on_disconnect("amy")
    stock(ledgers, "amy", 4, 1024 * 1024)
    assert ledgers.next(1.0) is None
    assert 13 < ledgers.wait(1.0) <= 15


def test_a_friend_may_want_more_than_a_stranger() -> None:
    ledgers = PeerLedgers(LedgerBounds(wants_per_peer=100, friends=frozenset({"friend"})))
    for peer in ("friend", "stranger"):
        stock(ledgers, peer, 1000, 10)
    assert [len(ledger) for ledger in ledgers] == [1000, 100]


def test_what_is_more_urgent_goes_before_what_was_queued_earlier() -> None:
    ledger = PeerLedger("amy")
    told(ledger, [ask(C0, priority=5), ask(C1, priority=1)], 10)
    told(ledger, [ask(C2, priority=3), ask(CIDS[3], priority=1)], 10)
    assert ledger.take().blocks == (C0, C2, C1, CIDS[3])
    told(ledger, [ask(CIDS[4], priority=1), ask(CIDS[5], priority=1)], 10)
    ledger.on_entries([ask(CIDS[5], priority=9)], False)
    assert ledger.take().blocks == (CIDS[5], CIDS[4])
