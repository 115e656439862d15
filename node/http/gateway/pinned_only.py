"""Hosts that serve only what the cluster pins (`only-pinned`)."""

from __future__ import annotations

from collections.abc import Iterator

from blockstore.cid import CID, DAG_PB, RAW
from blockstore.errors import BadCid
from cluster.cluster import Cluster
from cluster.errors import NotPinned
from cluster.pin import Pin, PinMode
from node.http.gateway.formats.negotiation import Asked
from node.http.gateway.paths.request import RequestPath


class NotPinnedHere(Exception):
    """Content that this host does not serve, for its cluster does not pin it."""


async def check(cluster: Cluster, path: RequestPath, asked: Asked) -> None:
    """Raises NotPinnedHere where the root of the path, names followed, is not pinned.

    A CIDv0 and its CIDv1 are the same pin. A direct pin is of one block. The empty identity CID passes: it
    has no content, and clients find out by it what a gateway can do.
    """
    root = path.content.root
    if root.is_identity and not root.digest:
        return
    pin = await _pin(cluster, root)
    if pin is None:
        raise NotPinnedHere(
            f"{root} is not pinned: this host serves only what its cluster pins, by paths that begin with "
            "the CID of a pin, or with a name that leads to one"
        )
    one_block = not path.content.segments and (asked.format == "raw" or root.codec == RAW)
    if pin.options.mode is PinMode.DIRECT and not one_block:
        raise NotPinnedHere(f"{root} is pinned directly, which is its own block alone: ask for ?format=raw")


async def _pin(cluster: Cluster, root: CID) -> Pin | None:
    for cid in _forms(root):
        try:
            return await cluster.get_pin(cid)
        except NotPinned:
            continue
    return None


def _forms(cid: CID) -> Iterator[CID]:
    yield cid
    if cid.version == 0:
        yield cid.as_v1()
    elif cid.codec == DAG_PB and len(cid.multihash) == 34:
        try:
            yield CID.v0(cid.multihash)
        except BadCid:  # of another hash than CIDv0 has
            return
