from __future__ import annotations

import asyncio
import signal
from dataclasses import replace

from support.p2p_networks import SETTINGS, networks, until_peer
from support.p2p_node import process

WATCHFUL = replace(SETTINGS, ping_interval=0.3, ping_timeout=0.7)


async def test_a_stopped_peer_is_noticed_and_dialled_again_when_it_goes_on() -> None:
    with process() as (victim, address):
        async with networks(1, WATCHFUL) as (_, (a,)):
            peer = await a.connect(address)
            await asyncio.sleep(1.5)  # several rounds of pings: a living peer stays connected
            assert a.peers() == {peer}
            victim.send_signal(signal.SIGSTOP)
            await until_peer(a, peer, connected=False, timeout=5)
            victim.send_signal(signal.SIGCONT)
            await until_peer(a, peer)
            assert await a.call(peer, "echo", b"back") == b"back"


async def test_a_killed_peer_is_noticed_at_once() -> None:
    with process() as (victim, address):
        async with networks(1) as (_, (a,)):  # with the ordinary bounds of many seconds
            peer = await a.connect(address)
            victim.kill()
            await until_peer(a, peer, connected=False, timeout=2)
