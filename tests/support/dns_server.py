"""A DNS server on loopback: TXT records and aliases over UDP and TCP; it counts what it is asked."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

_UDP_BYTES = 512


@dataclass
class Zone:
    """Names are without the final dot. Those in `failing` get SERVFAIL, those in `mute` nothing."""

    texts: dict[str, list[str]] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    ttls: dict[str, int] = field(default_factory=dict)
    failing: set[str] = field(default_factory=set)
    mute: set[str] = field(default_factory=set)
    asked: Counter[str] = field(default_factory=Counter)
    address: str = ""

    def answer(self, data: bytes, limit: int) -> bytes | None:
        query = dns.message.from_wire(data)
        name = query.question[0].name.to_text(omit_final_dot=True).lower()
        self.asked[name] += 1
        if name in self.mute:
            return None
        response = dns.message.make_response(query)
        if name in self.failing:
            response.set_rcode(dns.rcode.SERVFAIL)
        else:
            self._fill(response, name)
        wire = response.to_wire()
        if len(wire) > limit:
            response = dns.message.make_response(query)
            response.flags |= dns.flags.TC
            wire = response.to_wire()
        return wire

    def _fill(self, response: dns.message.Message, name: str) -> None:
        if alias := self.aliases.get(name):
            ttl = self.ttls.get(name, 300)
            response.answer.append(dns.rrset.from_text(f"{name}.", ttl, "IN", "CNAME", f"{alias}."))
            name = alias
        if name in self.texts:
            texts = [_quoted(text) for text in self.texts[name]]
            response.answer.append(
                dns.rrset.from_text(f"{name}.", self.ttls.get(name, 300), "IN", "TXT", *texts)
            )
        elif not any(other.endswith(f".{name}") for other in self.texts):
            response.set_rcode(dns.rcode.NXDOMAIN)


def _quoted(text: str) -> str:
    """In strings of at most 255 characters, as one record."""
    return " ".join(f'"{text[start : start + 255]}"' for start in range(0, len(text) or 1, 255))


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, zone: Zone) -> None:
        self._zone = zone

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(
            "asyncio.DatagramTransport", transport
        )  # what asyncio hands to a datagram protocol

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        if (answer := self._zone.answer(data, _UDP_BYTES)) is not None:
            self._transport.sendto(answer, address)


@asynccontextmanager
async def dns_server(zone: Zone) -> AsyncIterator[Zone]:
    """Listens on one port for UDP and TCP; `zone.address` says where."""

    async def stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        size = int.from_bytes(await reader.readexactly(2))
        answer = zone.answer(await reader.readexactly(size), 65535)
        if answer is not None:
            writer.write(len(answer).to_bytes(2) + answer)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(stream, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: _Datagrams(zone), local_addr=("127.0.0.1", port)
    )
    zone.address = f"127.0.0.1:{port}"
    try:
        yield zone
    finally:
        transport.close()
        server.close()
        await server.wait_closed()
