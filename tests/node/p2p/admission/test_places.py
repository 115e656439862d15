"""Which connection goes when the places run out."""

from __future__ import annotations

import pytest

from node.p2p.admission.places import RECENT, Full, Place, Places, site_of


class _World:
    """Places, and what was ended to make room."""

    def __init__(self, most: int = 16, known: tuple[str, ...] = (), most_unproven: int = 8) -> None:
        self.ended: list[str] = []
        self.places = Places(most, known.__contains__, most_unproven)
        self.now = 0.0

    def enter(self, host: str, name: str = "") -> Place:
        self.now += 1
        return self.places.enter(host, self.now, lambda: self.ended.append(name or host))

    def join(self, host: str, peer: str) -> Place:
        place = self.enter(host, peer)
        self.places.prove(place, peer)
        return place


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("127.0.0.1", "127.0.0.2", False),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("fe80::1%eth0", "fe80::1%eth1", True),
    ],
)
def test_what_counts_as_one_address(one: str, other: str, same: bool) -> None:
    assert (site_of(one) == site_of(other)) is same


def test_unproven_connections_of_the_address_with_the_most_go_first_the_oldest_of_them() -> None:
    world = _World()
    world.enter("10.0.0.1", "honest")
    for number in range(20):
        world.enter("10.0.0.9", f"silent {number}")
    assert world.ended == [f"silent {number}" for number in range(13)]


def test_of_many_addresses_the_silent_go_before_those_that_speak_and_none_before_it_could() -> None:
    world = _World(most_unproven=3)
    for number in range(3):
        place = world.enter(f"10.0.0.{number}")
        if number == 0:
            place.spoke()
    world.enter("10.0.1.0")
    assert world.ended == ["10.0.0.1"]
    world.now -= 0.5
    world.places.enter("10.0.1.1", world.now, lambda: None)
    assert world.ended == ["10.0.0.1", "10.0.0.0"]  # the others were still to speak: so the oldest


def test_invented_ids_of_one_address_go_before_anybody_else() -> None:
    world = _World(most=8)
    for number in range(3):
        world.join(f"10.0.0.{number}", f"peer {number}")
    for number in range(50):
        world.join("10.0.9.9", f"invented {number}")
        world.places.use(f"invented {number}", world.now)
    world.join("10.0.0.7", "newcomer")
    assert all(name.startswith("invented") for name in world.ended)
    assert len(world.ended) == 46


def test_of_many_addresses_who_was_never_of_use_goes_and_who_was_lately_stays() -> None:
    world = _World(most=4)
    for number in range(4):
        world.join(f"10.0.0.{number}", f"peer {number}")
    world.places.use("peer 0", world.now)
    world.join("10.0.1.0", "a")
    world.join("10.0.1.1", "b")
    world.join("10.0.1.2", "c")
    assert world.ended == ["peer 1", "peer 2", "peer 3"]
    for peer in ("a", "b", "c"):
        world.places.use(peer, world.now)
    with pytest.raises(Full):
        world.join("10.0.1.3", "d")
    world.now += RECENT + 1
    world.join("10.0.1.4", "e")
    assert world.ended[-1] == "peer 0"


def test_known_peers_never_go_and_always_come_in() -> None:
    known = tuple(f"member {number}" for number in range(6))
    world = _World(most=4, known=known)
    world.join("10.0.0.1", "stranger")
    for number in range(6):
        world.join("10.0.0.1", f"member {number}")
    assert world.ended == ["stranger"]
    with pytest.raises(Full):
        world.join("10.0.0.2", "another stranger")


def test_who_left_gives_its_place_back() -> None:
    world = _World(most=1)
    for number in range(5):
        place = world.join("10.0.0.1", str(number))
        world.places.leave(place)
    assert not world.ended
