"""A member that floods the others delays what anyone else writes by a transaction or two."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from random import Random

from support.clock import virtual_time
from support.pinset_forger import Forger, calm, heard, stopped, wall
from support.pinset_member import agree, grown_cluster, some_cid, some_pin

from cluster.interfaces import PinChange
from cluster.pinset.log.batch import AuthorLog
from cluster.ports import GossipMessage
from cluster.replication.gossip_message import topic_of

FLOOD, PINS = 300, 10  # batches, and pins in each


@virtual_time
async def test_what_others_and_we_write_is_here_long_before_the_flood_is() -> None:
    chance = Random(1)  # with it every slice of time is over at once, however fast this machine is
    victim, flooding, quiet = members = await grown_cluster(3, calm(), wall, bits=20, chance=chance)
    forgers = [Forger(victim, number) for number in (1, 2)]
    for forger, number in zip(forgers, (1, 2), strict=True):
        forger.log = AuthorLog(forger.signer.peer_id, number)
    flooder, other = forgers
    applied: dict[object, int] = {}

    def note(changes: Sequence[PinChange]) -> None:
        applied.update((change.cid, victim.pinset.counts.applied) for change in changes)

    victim.pinset.on_changes(note)
    topic, topics = topic_of(victim.genesis), victim.network.peers[victim.peer].topics
    places = iter({victim.genesis.document_of(some_cid(cid)): cid for cid in range(10, 9000)}.items())
    for number in range(1, FLOOD + 1):
        updates = sorted((document, flooder.update(cid=cid)) for document, cid in islice(places, PINS))
        envelope = flooder.batch(*updates, sequence=number)
        topics.deliver(topic, GossipMessage(flooding.peer, flooding.peer, b"\x01" + envelope))
    await victim.pinset.put(some_pin(1))
    update = victim.genesis.document_of(some_cid(2)), other.update(cid=2)
    await heard(b"\x01" + other.batch(update), quiet.peer, to=victim)
    assert applied[some_cid(1)] < FLOOD / 2
    assert applied[some_cid(2)] < FLOOD / 2
    await agree(members)
    assert len(await quiet.rows()) == FLOOD * PINS + 2
    await stopped(*members)
