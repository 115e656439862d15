"""bitswap/*: what Bitswap did, on the open network and among members together."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from bitswap.statistics import PeerStatistics
from blockstore.cid import CID
from node.http.app_key import PARTS
from node.http.go import query_values
from node.http.rpc import answers
from node.http.rpc.answers import argument
from node.parts import Bitswaps


async def ledger(request: web.Request) -> web.StreamResponse:
    """What went to one peer and came from it; zeroes for one that is not known, as at Kubo."""
    peer = query_values.peer_id(argument(request))
    found = [bitswap.ledger(peer) for bitswap in request.app[PARTS].bitswap.values()]
    return answers.one(ledger_of(peer, found))


def ledger_of(peer: str, found: Sequence[PeerStatistics]) -> dict[str, str | int | float]:
    """Kubo's Receipt: `Value` is its ratio of debt, `Exchanged` counts blocks both ways."""
    sent, received = sum(one.bytes_sent for one in found), sum(one.bytes_received for one in found)
    return {
        "Peer": peer,
        "Value": sent / (received + 1),
        "Sent": sent,
        "Recv": received,
        "Exchanged": sum(one.blocks_sent + one.blocks_received for one in found),
    }


async def stat(request: web.Request) -> web.StreamResponse:
    bitswaps = request.app[PARTS].bitswap
    found = [bitswap.statistics() for bitswap in bitswaps.values()]
    peers = {one.peer for bitswap in bitswaps.values() for one in bitswap.ledgers() if one.connected}
    return answers.one(
        {
            "Wantlist": _links(bitswaps, None),
            "Peers": sorted(peers),
            "BlocksReceived": sum(one.blocks_received + one.duplicate_blocks for one in found),
            "DataReceived": sum(one.bytes_received + one.duplicate_bytes for one in found),
            "DupBlksReceived": sum(one.duplicate_blocks for one in found),
            "DupDataReceived": sum(one.duplicate_bytes for one in found),
            "MessagesReceived": sum(one.messages_received for one in found),
            "BlocksSent": sum(one.blocks_sent for one in found),
            "DataSent": sum(one.bytes_sent for one in found),
        }
    )


async def wantlist(request: web.Request) -> web.StreamResponse:
    """Ours; with `peer` what that one wants of us."""
    peer = query_values.peer_id(text) if (text := request.query.get("peer")) else None
    own = peer is None or peer == request.app[PARTS].peer
    return answers.one({"Keys": _links(request.app[PARTS].bitswap, None if own else peer)})


def _links(bitswaps: Bitswaps, peer: str | None) -> list[dict[str, str]]:
    wanted: dict[CID, None] = {}
    for bitswap in bitswaps.values():
        wanted.update(dict.fromkeys(bitswap.wantlist(peer)))
    return [{"/": str(cid)} for cid in wanted]
