"""The want list as a table of events: what happens on the left, what is sent on the right."""

from __future__ import annotations

import pytest

from bitswap.fetching.peer_state import MAX_ASKS
from bitswap.fetching.session_peers import SessionPeers
from bitswap.fetching.want import WantState
from bitswap.fetching.want_timeouts import WantTimeouts
from bitswap.fetching.wants import Wants
from bitswap.message import Presence, WantlistEntry, WantType
from bitswap.received import ReceivedBlock
from blockstore.block import Block
from blockstore.cid import CID, DAG_PB

BLOCKS = [Block.of(b"block %d" % number) for number in range(8)]
NAMES = {block.cid: f"b{number}" for number, block in enumerate(BLOCKS)}
B0, B1, B2 = (block.cid for block in BLOCKS[:3])


class Table:
    """Wants with the time and the notation of these tests: "+b0" wants a block, "?b0" asks, "-b0" cancels."""

    def __init__(self, *peers: str, breadth: int = 3) -> None:
        self.wants = Wants(WantTimeouts(answer=8, block=45, newcomer=10, breadth=breadth))
        self.now = 0.0
        for peer in peers:
            self.wants.on_connect(peer, self.now)

    def want(self, cid: CID, session: SessionPeers | None = None, *hints: str) -> dict[str, str]:
        self.wants.add(cid, session or SessionPeers(), hints, self.now)
        return self.sent()

    def says(self, peer: str, cid: CID, have: bool) -> dict[str, str]:
        self.wants.on_presences(peer, [Presence(cid, have)], self.now)
        return self.sent()

    def sends(self, peer: str, block: Block) -> dict[str, str]:
        self.arrives(peer, block)
        return self.sent()

    def arrives(self, peer: str, block: Block) -> str:
        result = self.wants.on_blocks(peer, [ReceivedBlock(block.cid.multihash, block.data)], self.now)
        return "wanted" if result.wanted else "duplicate" if result.duplicates else "unsolicited"

    def after(self, seconds: float) -> dict[str, str]:
        self.given_up = self.pass_time(seconds)
        return self.sent()

    def pass_time(self, seconds: float) -> list[str]:
        self.now += seconds
        for peer in self.wants.awaited():
            self.wants.chase(peer, self.now)
        looked = [self.wants.look(cid, self.now) for cid in self.wants.overdue(self.now)]
        self.wants.on_tick(self.now)
        return [f"{NAMES[over.cid]}: {over.report}" for over in looked if over is not None]

    def sent(self) -> dict[str, str]:
        return {peer: " ".join(map(_note, self.wants.take(peer))) for peer in self.wants.dirty()}


def _note(entry: WantlistEntry) -> str:
    sign = "-" if entry.cancel else "+" if entry.type is WantType.BLOCK else "?"
    return sign + NAMES[entry.cid]


def known(*peers: str) -> SessionPeers:
    session = SessionPeers()
    for peer in peers:
        session.on_hit(peer)
    return session


def test_a_lone_peer_is_asked_for_the_block_at_once() -> None:
    table = Table("amy")
    assert table.want(B0) == {"amy": "+b0"}
    assert table.arrives("amy", BLOCKS[0]) == "wanted"
    assert table.sent() == {}
    assert len(table.wants) == 0


def test_strangers_are_asked_who_has_it_and_the_first_who_does_is_asked_for_it() -> None:
    table = Table("amy", "bob", "cat")
    assert table.want(B0) == {"amy": "?b0", "bob": "?b0", "cat": "?b0"}
    assert table.says("amy", B0, False) == {}
    assert table.says("bob", B0, True) == {"bob": "+b0"}
    assert table.says("cat", B0, True) == {}
    assert table.sends("bob", BLOCKS[0]) == {"amy": "-b0", "cat": "-b0"}


def test_peers_good_for_the_session_are_asked_before_strangers() -> None:
    table = Table("amy", "bob", "cat")
    session = known("bob")
    assert table.want(B0, session) == {"bob": "+b0"}
    assert table.says("bob", B0, False) == {"amy": "?b0", "cat": "?b0"}


def test_a_hint_is_asked_even_if_it_is_not_connected() -> None:
    table = Table("amy", "bob")
    assert table.want(B0, None, "far") == {"far": "+b0"}
    table.wants.on_unreachable("far", table.now)
    assert table.sent() == {"amy": "?b0", "bob": "?b0"}


def test_two_good_peers_share_the_work() -> None:
    table = Table("amy", "bob")
    session = known("amy", "bob")
    asked = [next(iter(table.want(block.cid, session))) for block in BLOCKS]
    assert asked.count("amy") == asked.count("bob") == 4


def test_a_peer_with_failures_is_asked_last() -> None:
    table = Table("amy", "bob", "cat")
    table.want(B0, known("amy"))
    assert table.after(8) == {"bob": "?b0", "cat": "?b0"}
    assert table.want(B1, known("amy", "bob")) == {"bob": "+b1"}


def test_when_all_refuse_the_want_is_given_up_after_the_patience_for_newcomers() -> None:
    table = Table("amy", "bob")
    table.want(B0)
    table.says("amy", B0, False)
    assert table.says("bob", B0, False) == {}
    assert table.pass_time(9.5) == []
    assert table.pass_time(0.5) == ["b0: 2 peers asked, none has it"]
    assert table.sent() == {"amy": "-b0", "bob": "-b0"}


def test_a_newcomer_is_asked_and_renews_the_patience() -> None:
    table = Table("amy")
    table.want(B0)
    table.says("amy", B0, False)
    table.pass_time(9)
    table.wants.on_connect("bob", table.now)
    assert table.sent() == {"bob": "+b0"}
    assert table.pass_time(5) == []
    table.says("bob", B0, False)
    assert table.pass_time(9.5) == []
    assert table.pass_time(0.5) == ["b0: 2 peers asked, none has it"]


def test_without_any_peer_the_reason_says_so() -> None:
    table = Table()
    assert table.want(B0) == {}
    assert table.pass_time(10) == ["b0: no peer connected"]


@pytest.mark.parametrize(
    ("silent", "absent", "reason"),
    [
        (["amy"], [], "1 peer asked, none answered"),
        (["amy", "bob"], [], "2 peers asked, none answered"),
        (["amy", "bob"], ["cat"], "3 peers asked: 1 without it, 2 silent"),
    ],
)
def test_the_reason_tells_silence_from_denial(silent: list[str], absent: list[str], reason: str) -> None:
    table = Table(*silent, *absent)
    table.want(B0)
    for peer in absent:
        table.says(peer, B0, False)
    assert table.pass_time(8) == []
    assert table.pass_time(10) == [f"b0: {reason}"]


def test_a_peer_that_cannot_be_reached_is_named_as_such() -> None:
    table = Table()
    table.want(B0, None, "far")
    table.wants.on_unreachable("far", table.now)
    assert table.pass_time(10) == [
        "b0: 1 to hold it, 0 of them connected; 1 peer asked, none could be reached"
    ]


def test_a_peer_that_claims_to_have_it_and_is_silent_is_passed_over_but_may_still_send() -> None:
    table = Table("amy", "bob")
    table.want(B0)
    table.says("amy", B0, True)
    assert table.after(8) == {"amy": "+b0"}, "reminded; bob owes an answer too"
    assert table.says("bob", B0, True) == {"bob": "+b0"}
    assert table.arrives("amy", BLOCKS[0]) == "wanted"
    assert table.sent() == {"bob": "-b0"}


def test_a_claim_that_is_never_kept_ends_in_the_end() -> None:
    table = Table("amy", "bob")
    table.want(B0)
    table.says("amy", B0, True)
    table.says("bob", B0, False)
    assert table.pass_time(8) == []
    assert table.pass_time(37) == []
    assert table.pass_time(10) == ["b0: 2 peers asked: 1 without it, 1 silent"]


def test_a_peer_that_sends_no_block_for_two_round_trips_is_not_waited_for() -> None:
    table = Table("amy", "bob", "cat")
    table.want(B0)
    table.now += 0.4
    assert table.says("amy", B0, True) == {"amy": "+b0"}
    assert table.says("bob", B0, True) == {}
    assert table.after(0.7) == {}
    assert table.after(0.2) == {"bob": "+b0"}
    assert table.sends("bob", BLOCKS[0]) == {"amy": "-b0", "cat": "-b0"}


def test_of_many_that_say_have_and_send_nothing_more_are_asked_each_time() -> None:
    peers = [f"p{number}" for number in range(16)]
    table = Table(*peers, breadth=16)
    table.want(B0)
    for peer in peers:
        table.says(peer, B0, True)
    asked = [len(table.after(1)) for _ in range(5)]
    assert asked == [1, 2, 4, 8, 0]


def test_a_debtor_is_asked_last_in_every_session_and_holds_nobody_up() -> None:
    table = Table("amy", "bob")
    table.want(B0, known("amy"))
    assert table.after(2) == {"bob": "?b0"}
    assert table.want(B1, known("amy", "bob")) == {"bob": "+b1"}
    B2 = BLOCKS[2].cid
    assert table.want(B2, known("amy")) == {"bob": "?b2", "amy": "+b2"}
    assert table.says("bob", B2, True) == {"bob": "+b2"}


def test_a_debtor_that_comes_back_is_still_one() -> None:
    table = Table("amy", "bob")
    table.want(B0, known("amy"))
    table.after(2)
    table.wants.on_disconnect("amy", table.now)
    table.wants.on_connect("amy", table.now)
    table.sent()
    assert table.want(B1, known("amy", "bob")) == {"bob": "+b1"}


def test_a_debtor_is_like_the_others_again_when_it_has_delivered_or_time_has_passed() -> None:
    for seconds, blocks in ((11, 0), (0, 4)):
        table = Table("amy", "bob")
        table.want(B0, known("amy"))
        table.after(2)
        table.sends("bob", BLOCKS[0])
        for block in BLOCKS[2 : 2 + blocks]:
            assert "amy" in table.want(block.cid, known("amy"))
            table.sends("amy", block)
        table.after(seconds)
        table.want(B1, known("bob"))
        assert table.want(BLOCKS[7].cid, known("amy", "bob")) == {"amy": "+b7"}


def test_a_peer_that_says_have_and_then_not_is_not_believed_again() -> None:
    table = Table("amy", "bob")
    table.want(B0)
    table.says("amy", B0, True)
    assert table.says("amy", B0, False) == {}
    assert table.says("amy", B0, True) == {}
    table.says("bob", B0, False)
    assert table.pass_time(9) == []
    table.says("amy", B0, True)
    assert table.pass_time(1) == ["b0: 2 peers asked, none has it"]


def test_a_peer_that_falls_silent_is_told_its_wants_again_for_it_may_have_lost_them() -> None:
    table = Table("amy")
    table.want(B0)
    table.sends("amy", BLOCKS[0])
    assert table.want(B1) == {"amy": "+b1"}
    assert table.after(5) == {}
    assert table.after(1) == {"amy": "+b1"}
    assert table.after(5) == {}
    assert table.after(1) == {"amy": "+b1"}, "again when its silence has doubled"
    assert table.after(11) == {}
    assert table.after(1) == {"amy": "+b1"}
    assert table.arrives("amy", BLOCKS[1]) == "wanted"
    assert table.want(B2) == {"amy": "+b2"}
    assert table.after(6) == {"amy": "+b2"}, "from the start in each silence"


def test_a_silent_peer_on_a_slow_line_is_not_doubted_for_all_of_its_blocks_at_once() -> None:
    table = Table("amy", "bob")
    many = [Block.of(b"m%d" % number) for number in range(100)]
    NAMES.update({block.cid: f"m{number}" for number, block in enumerate(many)})
    for block in many:
        table.want(block.cid, known("amy"))
    assert table.after(2) == {"bob": "?m0"}
    assert len(table.after(1).get("bob", "").split()) == 4
    table.sends("amy", many[0])
    assert table.after(0.4) == {}


def test_blocks_that_a_busy_peer_passes_over_are_asked_of_others() -> None:
    table = Table("amy", "bob")
    many = [Block.of(b"n%d" % number) for number in range(110)]
    NAMES.update({block.cid: f"n{number}" for number, block in enumerate(many)})
    asked: list[str] = []
    for block in many:
        table.want(block.cid, known("amy"))
    for number, block in enumerate(many):
        if number % 10:
            table.arrives("amy", block)
        asked += table.after(0.05).get("bob", "").split()
    assert [note for note in asked if note[0] == "?"] == ["?n0", "?n10", "?n20", "?n30", "?n40"]


def test_disconnection_moves_its_wants_to_others_and_reconnection_asks_again() -> None:
    table = Table("amy", "bob")
    table.want(B0, known("amy"))
    table.wants.on_disconnect("amy", table.now)
    assert table.sent() == {"bob": "+b0"}
    table.says("bob", B0, False)
    table.wants.on_connect("amy", table.now)
    assert table.sent() == {"amy": "+b0"}


def test_a_peer_that_gets_the_block_later_may_say_so() -> None:
    table = Table("amy")
    table.want(B0)
    table.says("amy", B0, False)
    assert table.says("amy", B0, True) == {"amy": "+b0"}


def test_cancelling_tells_those_who_were_told_and_nobody_else() -> None:
    table = Table("amy", "bob")
    table.want(B0)
    table.wants.cancel(B0, table.now)
    assert table.sent() == {"amy": "-b0", "bob": "-b0"}
    table.wants.add(B0, SessionPeers(), (), table.now)
    table.wants.cancel(B0, table.now)
    assert table.sent() == {}


def test_several_sessions_share_one_want() -> None:
    table = Table("amy")
    assert table.want(B0) == {"amy": "+b0"}
    assert table.want(B0) == {}
    assert len(table.wants) == 1


def test_a_later_fetch_of_the_same_block_may_bring_a_hint() -> None:
    table = Table("amy", "bob")
    table.want(B0)
    assert table.want(B0, None, "far") == {"far": "+b0"}


def test_another_codec_of_the_same_bytes_is_the_same_want() -> None:
    table = Table("amy")
    table.want(B0)
    assert table.want(CID.v1(DAG_PB, B0.multihash)) == {}


def test_only_what_this_peer_was_asked_for_is_accepted() -> None:
    table = Table("amy", "bob")
    table.want(B0, known("amy"))
    assert table.arrives("bob", BLOCKS[0]) == "unsolicited"
    assert table.arrives("amy", BLOCKS[1]) == "unsolicited"
    assert table.arrives("eve", BLOCKS[0]) == "unsolicited"
    assert table.arrives("amy", BLOCKS[0]) == "wanted"
    assert table.arrives("amy", BLOCKS[0]) == "unsolicited"


def test_a_block_that_crosses_its_cancel_is_a_duplicate_once() -> None:
    table = Table("amy", "bob")
    table.want(B0)
    table.sends("amy", BLOCKS[0])
    assert table.arrives("bob", BLOCKS[0]) == "duplicate"
    assert table.arrives("bob", BLOCKS[0]) == "unsolicited"


def test_presences_nobody_asked_for_change_nothing() -> None:
    table = Table("amy", "bob")
    table.want(B0, known("amy"))
    assert table.says("bob", B0, True) == {}
    assert table.says("amy", B1, True) == {}


def test_at_most_so_many_peers_are_asked_at_once_and_refusals_make_room() -> None:
    table = Table("p1", "p2", "p3", "p4", "p5")
    assert list(table.want(B0)) == ["p1", "p2", "p3"]
    assert table.says("p2", B0, False) == {"p4": "?b0"}


def test_a_busy_peer_is_not_asked_for_more_until_it_has_delivered() -> None:
    table = Table("amy")
    session = SessionPeers()
    wanted = [Block.of(b"%d" % number) for number in range(MAX_ASKS)]
    NAMES.update({block.cid: f"n{number}" for number, block in enumerate(wanted)})
    in_flight = " ".join(table.want(block.cid, session).get("amy", "") for block in wanted).split()
    assert len(in_flight) == 128  # 32 MiB of blocks guessed at 256 KiB
    assert table.sends("amy", wanted[0]) != {}


def test_sessions_take_turns_when_all_wait_for_one_peer() -> None:
    table = Table("amy")
    greedy, modest = SessionPeers(), SessionPeers()
    many = [Block.of(b"g%d" % number) for number in range(200)]
    NAMES.update({block.cid: f"g{number}" for number, block in enumerate(many)})
    for block in many:
        table.want(block.cid, greedy)
    assert table.want(B0, modest) == {}
    table.arrives("amy", many[0])
    table.arrives("amy", many[1])
    assert "+b0" in table.sent()["amy"].split()


def test_it_prints_what_is_asked_of_whom() -> None:
    table = Table("amy", "bob")
    table.want(B0)
    table.says("amy", B0, False)
    assert table.wants.explain(B0) == f"<Want {B0}: asked bob HAVE; amy does not have it>"
    assert repr(table.wants) == "<Wants 1 from 2 peers, <FairQueue of 0 wants in 0 sessions>>"


def test_a_want_goes_through_its_states() -> None:
    table = Table()
    table.want(B0)
    assert table.wants.state(B0) is WantState.QUIET
    table.wants.on_connect("amy", table.now)
    assert table.wants.state(B0) is WantState.AWAITING
    table.says("amy", B0, False)
    assert table.wants.state(B0) is WantState.QUIET
    for peer in ("bob", "cat", "dan"):
        table.wants.on_connect(peer, table.now)
    assert table.wants.state(B0) is WantState.AWAITING
    table.says("bob", B0, False)
    assert table.wants.state(B0) is WantState.SEARCHING
    table.says("cat", B0, True)
    assert table.wants.state(B0) is WantState.AWAITING
    assert table.arrives("cat", BLOCKS[0]) == "wanted"
    assert table.wants.state(B0) is None


def test_a_want_for_which_all_peers_are_busy_is_in_line() -> None:
    table = Table("amy")
    blocks = [Block.of(b"%d" % number) for number in range(MAX_ASKS + 1)]
    session = known("amy")
    for block in blocks:
        table.wants.add(block.cid, session, (), table.now)
    states = [table.wants.state(block.cid) for block in blocks]
    assert WantState.AWAITING in states
    assert states[-1] is WantState.IN_LINE
