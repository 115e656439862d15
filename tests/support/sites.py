"""Sites under names in tests: a static DNSLink to a key, and the key's record to content."""

from __future__ import annotations

import time

from blockstore.cid import CID
from support.gateway import Gateway
from support.ipns import Key

KEY = Key(7)
NAME = "my-site.example.org"
INLINED = "my--site-example-org"
PEER = "by-peer.example.org"  # leads to the same key, written as a peer id
STATIC = f"{NAME}:/ipns/{KEY.name},{PEER}:/ipns/{KEY.name.peer_id},direct.example.org:/ipfs/bafkqabtimvwgy3yk"


async def publish(gateway: Gateway, root: CID, below: str = "", ttl: float = 600.0) -> None:
    """The name leads to that content from now on."""
    record = KEY.record(f"/ipfs/{root}{below}", time.time() + 1e6, ttl=ttl)
    await gateway.node.parts.publishing.keep(KEY.name, record)
