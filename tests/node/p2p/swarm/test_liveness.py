from __future__ import annotations

import asyncio
import signal
from dataclasses import replace

from support.p2p_networks import SETTINGS, networks, until_peer
from support.p2p_node import process

SLEEPY = replace(SETTINGS, ping_interval=600, ping_timeout=600)
WATCHFUL = replace(SETTINGS, ping_interval=0.1, ping_timeout=3.0)


async def test_a_stopped_peer_is_noticed_and_dialled_again_when_it_goes_on() -> None:
    with process() as (victim, address):
        async with networks(1, WATCHFUL) as (_, (a,)):
            peer = await a.connect(address)
            await asyncio.sleep(1.0)  # several rounds of pings: a living peer stays connected
            assert a.peers() == {peer}
            victim.send_signal(signal.SIGSTOP)
            await until_peer(a, peer, connected=False)
            victim.send_signal(signal.SIGCONT)
            await until_peer(a, peer)
            assert await a.call(peer, "echo", b"back") == b"back"


async def test_a_killed_peer_is_noticed_at_once() -> None:
    with process() as (victim, address):
        async with networks(1, SLEEPY) as (_, (a,)):
            peer = await a.connect(address)
            victim.kill()
            await until_peer(a, peer, connected=False)
