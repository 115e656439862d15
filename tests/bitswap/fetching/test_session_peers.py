"""Which peers a session remembers."""

from __future__ import annotations

from bitswap.fetching.session_peers import SessionPeers


def test_peers_that_had_more_of_what_they_were_asked_come_first() -> None:
    session = SessionPeers()
    for peer, hits, misses in (("poor", 1, 5), ("rich", 6, 0), ("fair", 3, 2)):
        for _ in range(hits):
            session.on_hit(peer)
        for _ in range(misses):
            session.on_miss(peer)
    assert session.peers() == ["rich", "fair", "poor"]
    assert session.odds("rich") > session.odds("stranger") == 0.5


def test_a_peer_is_dropped_after_sixteen_misses_in_a_row() -> None:
    session = SessionPeers()
    session.on_hit("amy")
    for _ in range(15):
        session.on_miss("amy")
    session.on_hit("amy")
    for _ in range(15):
        session.on_miss("amy")
    assert session.peers() == ["amy"]
    session.on_miss("amy")
    assert session.peers() == []


def test_it_remembers_thirty_two_peers_and_lets_the_worst_go() -> None:
    session = SessionPeers()
    for number in range(32):
        session.on_hit(f"p{number}")
    session.on_miss("p7")
    session.on_hit("new")
    assert len(session.peers()) == 32
    assert "p7" not in session.peers()
    assert "new" in session.peers()


def test_it_prints_its_peers() -> None:
    session = SessionPeers()
    assert repr(session) == "<SessionPeers of every DAG: no peer yet>"
    session.on_hit("amy")
    assert repr(session) == "<SessionPeers of every DAG: amy>"
