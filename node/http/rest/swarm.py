"""GET /v1/swarm/peers: the peers of the open network, and what went to and fro with each."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from aiohttp import web

from bitswap.statistics import PeerStatistics
from node.http.app_key import PARTS
from node.http.go import query_values
from node.http.go.gojson import Json
from node.http.rest.json_stream import stream_json
from node.parts import Parts


async def peers(request: web.Request) -> web.StreamResponse:
    """A line a connected peer; with `ledger=true` also those that something was exchanged with, and how much.

    Bounded: as many as connections and remembered ledgers.
    """
    parts = request.app[PARTS]
    ledgers = _ledgers(parts) if query_values.boolean(request.query, "ledger") else {}
    connected = parts.swarm.peers() if parts.swarm else frozenset()

    async def lines() -> AsyncGenerator[Json]:
        for peer in sorted({*connected, *ledgers}):
            yield _peer(parts, peer, ledgers.get(peer))

    return await stream_json(request, lines())


def _ledgers(parts: Parts) -> dict[str, PeerStatistics]:
    bitswap = parts.bitswap.get("swarm")
    return {ledger.peer: ledger for ledger in bitswap.ledgers()} if bitswap else {}


def _peer(parts: Parts, peer: str, ledger: PeerStatistics | None) -> Json:
    connected = parts.swarm is not None and peer in parts.swarm.peers()
    addresses = list(parts.swarm.addresses(peer)) if parts.swarm and connected else []
    found: dict[str, Json] = {"peer": peer, "connected": connected, "addresses": addresses}
    return found if ledger is None else {**found, "ledger": ledger_shape(ledger)}


def ledger_shape(ledger: PeerStatistics) -> dict[str, Json]:
    """Without the peer's id, beside which it stands."""
    return {
        "bytes_sent": ledger.bytes_sent,
        "blocks_sent": ledger.blocks_sent,
        "bytes_received": ledger.bytes_received,
        "blocks_received": ledger.blocks_received,
        "duplicate_blocks": ledger.duplicate_blocks,
        "wants": ledger.wants,
        "queued_bytes": ledger.queued_bytes,
        "asked": ledger.asked,
    }
