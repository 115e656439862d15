"""Any order of events keeps the books of the pure parts straight."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from bitswap.fetching.peer_state import PeerState
from bitswap.fetching.session_peers import SessionPeers
from bitswap.fetching.want import WantState
from bitswap.fetching.want_timeouts import WantTimeouts
from bitswap.fetching.wants import Wants
from bitswap.message import Presence, WantlistEntry, WantType
from bitswap.received import ReceivedBlock
from bitswap.serving.peer_ledger import PeerLedger
from bitswap.serving.peer_ledgers import LedgerBounds, PeerLedgers
from bitswap.serving.peer_want import Stage
from blockstore.block import Block

BLOCKS = [Block.of(b"%d" % number) for number in range(6)]
PEERS = ("amy", "bob", "cat")

_peer = st.sampled_from(PEERS)
_block = st.sampled_from(BLOCKS)
_want_events = st.one_of(
    st.tuples(st.just("add"), st.lists(_peer, max_size=2), _block),
    st.tuples(st.just("cancel"), st.none(), _block),
    st.tuples(st.sampled_from(("connect", "disconnect", "unreachable", "take")), _peer, st.none()),
    st.tuples(st.sampled_from(("have", "dont_have", "send")), _peer, _block),
    st.tuples(st.just("wait"), st.sampled_from((0.1, 0.5, 9.0, 50.0)), st.none()),
)


_LEAVES_AWAITING = {"dont_have", "send", "wait", "disconnect", "unreachable", "cancel"}
"""What takes a want from a peer that is in time with the block; see the table in wants.py."""


class WantsWithOpenBooks(Wants):
    """What it keeps must agree at all times, though no caller sees it."""

    def check(self) -> None:
        for remote in self._peers:
            self._check_remote(remote)
        for want in self._wants.values():
            assert set(want.asked) <= want.informed <= {peer.name for peer in self._peers}
            assert (want.quiet_since is not None) == (self.state(want.cid) is WantState.QUIET)
            assert (want.quiet_since is not None) == (not want.asked and want not in self._queue)

    def states(self) -> dict[bytes, WantState | None]:
        return {want.key: self.state(want.cid) for want in self._wants.values()}

    def is_empty(self) -> bool:
        return not self._wants and not self._peers and not len(self._queue)

    def _check_remote(self, remote: PeerState) -> None:
        pending = self._wants.values()
        asks = [want.asked[remote.name] for want in pending if remote.name in want.asked]
        assert remote.asks == len(asks)
        assert remote.blocks_in_flight == sum(ask.type is WantType.BLOCK for ask in asks)
        timely = [a for a in asks if a.type is WantType.BLOCK and not a.late]
        assert sorted(map(id, remote.awaited.values())) == sorted(map(id, timely))
        assert set(remote.known_wants) == {want.key for want in pending if remote.name in want.informed}
        assert set(remote.known_wants) <= remote.wired | set(remote.outbox)
        assert remote.wired <= set(remote.known_wants) | set(remote.outbox)


def pass_time(wants: Wants, now: float) -> None:
    for peer in wants.awaited():
        wants.chase(peer, now)
    for cid in wants.overdue(now):
        wants.look(cid, now)
    wants.on_tick(now)


@given(st.lists(_want_events, max_size=60))
@settings(max_examples=150)
def test_wants(events: list[tuple[str, list[str] | str | float | None, Block | None]]) -> None:
    wants = WantsWithOpenBooks(WantTimeouts(breadth=2))
    sessions = [SessionPeers(), SessionPeers()]
    now = 0.0
    for number, (event, who, what) in enumerate(events):
        before = wants.states()
        match event, who, what:
            case "add", list(), Block():
                wants.add(what.cid, sessions[number % 2], who, now)
            case "cancel", _, Block():
                wants.cancel(what.cid, now)
            case "connect", str(), _:
                wants.on_connect(who, now)
            case "disconnect", str(), _:
                wants.on_disconnect(who, now)
            case "unreachable", str(), _:
                wants.on_unreachable(who, now)
            case "take", str(), _:
                wants.take(who)
            case "have" | "dont_have", str(), Block():
                wants.on_presences(who, [Presence(what.cid, event == "have")], now)
            case "send", str(), Block():
                wants.on_blocks(who, [ReceivedBlock(what.cid.multihash, what.data)], now)
            case "wait", float(), _:
                now += who
                pass_time(wants, now)
        wants.check()
        left = {key for key, state in before.items() if wants.states().get(key) is not state}
        assert event != "take" or not left
        assert event in _LEAVES_AWAITING or not [key for key in left if before[key] is WantState.AWAITING]
    for peer in PEERS:
        wants.on_disconnect(peer, now)
    for hours in range(1, 8):  # hints are asked once more, are silent, and the want is given up
        for peer in PEERS:
            wants.take(peer)
        pass_time(wants, now + 3600 * hours)
    assert wants.is_empty()


_entry = st.builds(
    WantlistEntry,
    _block.map(lambda block: block.cid),
    st.sampled_from(WantType),
    st.integers(0, 3),
    st.booleans(),
    st.booleans(),
)
_size = st.one_of(st.none(), st.sampled_from((10, 5000, 900_000, 3_000_000)))
_others = st.sampled_from(("next", "sent", "gone", "disconnect"))
_serve_events = st.one_of(
    st.tuples(st.just("entries"), _peer, st.lists(_entry, max_size=6), st.booleans(), _size),
    st.tuples(st.just("stored"), _peer, st.lists(_block, max_size=3), st.booleans(), _size),
    st.tuples(
        st.sampled_from(("next", "sent", "gone", "disconnect")), _peer, st.none(), st.booleans(), st.none()
    ),
)


class LedgersWithOpenBooks(PeerLedgers):
    """As `WantsWithOpenBooks`."""

    def check(self, held: int) -> None:
        assert self._held == held
        for ledger in self:
            self._check_ledger(ledger)

    def _check_ledger(self, ledger: PeerLedger) -> None:
        wants = ledger.wants()
        assert ledger.queued_bytes == sum(want.size for want in wants if want.stage is Stage.QUEUED)
        assert set(ledger.queued()) == {want.cid for want in wants if want.stage is Stage.QUEUED}
        assert (ledger.peer in self._ready) == ledger.has_work
        assert len(ledger) - sum(want.stage is Stage.SENDING for want in wants) <= 64


@given(st.lists(_serve_events, max_size=60))
@settings(max_examples=150)
def test_ledgers(
    events: list[tuple[str, str, list[WantlistEntry] | list[Block] | None, bool, int | None]],
) -> None:
    bounds = LedgerBounds(wants_per_peer=4, bytes=16 << 20)
    ledgers = LedgersWithOpenBooks(bounds)
    out = []
    for event, peer, what, flag, size in events:
        if event == "entries":
            fresh = ledgers.on_entries(
                peer, [one for one in what or () if isinstance(one, WantlistEntry)], flag
            )
            ledgers.on_sizes(peer, fresh, [size] * len(fresh))
        elif event == "stored":
            awaited = ledgers.awaited([one.cid for one in what or () if isinstance(one, Block)])
            for one, wanted in awaited.items():
                ledgers.on_sizes(one, wanted, [size] * len(wanted))
        elif event == "next":
            turn = ledgers.next(0.0)
            out += [turn] if turn is not None else []
        elif event == "disconnect":
            ledgers.on_disconnect(peer)
        elif out:
            ledger, batch = out.pop(0)
            if event == "gone":
                ledgers.on_gone(ledger, batch.blocks)
            ledgers.release(ledger, batch, batch.blocks if event == "sent" else ())
        ledgers.check(sum(batch.cost for _, batch in out))
