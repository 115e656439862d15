"""Finding peers on the local network: libp2p's mDNS discovery (specification "discovery/mdns").

Each node announces a service instance of a random name whose TXT records are its addresses
(`dnsaddr=/ip4/…/p2p/…`). A private network uses a service name of its own, so that clusters on one wire
do not knock at each other's doors. zeroconf comes with py-libp2p and is imported only when this is asked
for.
"""

from __future__ import annotations

import hashlib
import secrets
import socket
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

from blockstore.common.guard import Guard
from blockstore.common.tasks import GuardedTasks
from cluster.ports import PeerOffline
from node.p2p.errors import UndialableAddress
from node.p2p.settings import NetworkSettings
from node.p2p.swarm import multiaddress

_PUBLIC = "_p2p._udp.local."
_MOST_PEERS = 64  # found ones that are dialled
_MOST_ADDRESSES = 16  # of one announcement
_MOST_LOOK_UPS = 64  # at once
_LOOK_UP = 3000  # milliseconds


class PeerFound(Protocol):
    @property
    def self_id(self) -> str: ...

    def addresses(self, peer: str | None = None) -> tuple[str, ...]: ...

    async def connect(self, address: str) -> str: ...


def service_of(settings: NetworkSettings) -> str:
    """The DNS-SD service this network is announced under."""
    if settings.psk is None:
        return _PUBLIC
    return f"_pinfold-{hashlib.sha256(b'mdns' + settings.psk).hexdigest()[:6]}._udp.local."


@asynccontextmanager
async def open_mdns(network: PeerFound, settings: NetworkSettings, guard: Guard) -> AsyncIterator[None]:
    """Announce the network, and connect to those that are announced, for the length of the block."""
    from zeroconf import ServiceStateChange
    from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

    service = service_of(settings)
    hosts = sorted({multiaddress.parse(text).host for text in network.addresses()})
    zeroconf = AsyncZeroconf(interfaces=hosts)
    finder = Finder(network, guard)

    async def look_up(name: str) -> None:
        info = AsyncServiceInfo(service, name)
        if await info.async_request(zeroconf.zeroconf, _LOOK_UP):
            await finder.found(addresses_in(info.text))

    def changed(name: str, state_change: ServiceStateChange, **_: object) -> None:
        if state_change is ServiceStateChange.Added:
            finder.start(name, look_up(name))

    name = secrets.token_hex(16)
    own = AsyncServiceInfo(
        service,
        f"{name}.{service}",
        port=multiaddress.parse(network.addresses()[0]).port,
        addresses=[socket.inet_aton(host) for host in hosts if ":" not in host],
        properties=text_of(network.addresses()),
        server=f"{name}.local.",
    )
    try:
        await zeroconf.async_register_service(own)
        browser = AsyncServiceBrowser(zeroconf.zeroconf, service, handlers=[changed])
        try:
            yield
        finally:
            await browser.async_cancel()
    finally:
        await finder.close()
        await zeroconf.async_close()


class Finder:
    """Dials what is found, a bounded number of peers."""

    def __init__(self, network: PeerFound, guard: Guard) -> None:
        self._network = network
        self._guard = guard
        self._known: set[str] = set()
        self._tasks = GuardedTasks(guard, "mDNS")

    def start(self, name: str, work: Coroutine[object, object, None]) -> None:
        """Look into an announcement: any machine on the wire can make any, in any number."""
        if len(self._tasks) >= _MOST_LOOK_UPS:
            work.close()
            return
        self._tasks.spawn(self._guarded(name, work))

    async def _guarded(self, name: str, work: Coroutine[object, object, None]) -> None:
        with self._guard.around("an mDNS announcement", name):
            await work

    async def found(self, addresses: list[str]) -> None:
        for text in addresses[:_MOST_ADDRESSES]:
            with self._guard.around("an address found by mDNS", text, UndialableAddress, PeerOffline):
                peer = multiaddress.parse(text).peer
                if peer is None or peer in self._known or len(self._known) >= _MOST_PEERS:
                    continue
                await self._network.connect(text)
                self._known.add(peer)

    async def close(self) -> None:
        await self._tasks.close()


def text_of(addresses: Sequence[str]) -> bytes:
    """The TXT record of these addresses: strings of at most 255 bytes, each with its length."""
    entries = [f"dnsaddr={text}".encode() for text in addresses]
    return b"".join(bytes([len(entry)]) + entry for entry in entries if len(entry) < 256)


def addresses_in(text: bytes | None) -> list[str]:
    """The addresses in a TXT record; what is not one is passed over."""
    found, position = [], 0
    while text and position < len(text):
        length = text[position]
        entry = text[position + 1 : position + 1 + length].decode(errors="replace")
        if entry.startswith("dnsaddr="):
            found.append(entry.removeprefix("dnsaddr="))
        position += 1 + length
    return found
