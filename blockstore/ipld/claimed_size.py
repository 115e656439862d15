"""What a root says of the size of its DAG: nothing that could be verified before all of it is here."""

from __future__ import annotations

from blockstore.block import Block
from blockstore.cid import DAG_PB
from blockstore.errors import BadBlock
from blockstore.ipld import dag_pb


def claimed_size(root: Block) -> int:
    """Bytes below it, by the links of a dag-pb node (spec: dag-pb, Tsize); 0 where it says nothing.

    What two of its links lead to counts once; what is shared further below counts each time.
    """
    if root.cid.codec != DAG_PB:
        return 0
    try:
        node = dag_pb.decode(root.data)
    except BadBlock:
        return 0
    return sum({link.cid: link.tsize or 0 for link in node.links}.values())
