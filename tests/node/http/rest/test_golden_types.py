"""ipfs-cluster's types byte for byte, each against a file: field order, nulls, escapes and times as in 1.1.6.

The forms were compared with answers of a real ipfs-cluster; what is ours stands behind its fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from blockstore.block import Block
from cluster.calls.member_gc import Collected
from cluster.calls.node_info import ConnectGraph, IpfsInfo, NodeInfo
from cluster.interfaces import Member, Role
from cluster.metrics.informers import Ping
from cluster.metrics.metric_store import Alert, Metric
from cluster.pin import GlobalPinInfo, Pin, PinInfo, PinMode, PinOptions, Status
from node.http.go import gojson
from node.http.go.gojson import Json
from node.http.rest import shapes
from node.traffic import ProtocolTraffic

GOLDEN = Path(__file__).parent / "golden"
NOW = 1_767_225_600.25  # 2026-01-01T00:00:00.25Z
A, B = "12D3KooWA", "12D3KooWB"
CID, OLDER = Block.of(b"golden").cid, Block.of(b"older").cid
ORIGIN = f"/ip4/1.2.3.4/tcp/4001/p2p/{B}"
FULL = Pin(
    CID,
    PinOptions(
        name="a <b> & \u2028 ü",
        mode=PinMode.DIRECT,
        replication_min=1,
        replication_max=2,
        user_allocations=(B,),
        expire_at=NOW + 0.5,
        metadata=MappingProxyType({"z": "1", "a": "<2>"}),
        pin_update=OLDER,
        origins=(ORIGIN,),
        shard_size=104857600,
    ),
    (A, B),
    NOW,
)
PLAIN = Pin(CID, PinOptions(replication_min=-1, replication_max=-1), (), NOW)
PING = Metric("ping", A, Ping("a", "QmA", (ORIGIN,)).text(), 0, NOW + 30, NOW)
FREE = Metric("freespace", B, "300", 300, NOW - 1, NOW - 31)
TAG = Metric("tag:group", B, "eu", 0, NOW + 30, NOW, partitionable=True)
STATUS = GlobalPinInfo(
    CID,
    FULL,
    {
        B: PinInfo(B, "b", Status.CLUSTER_ERROR, NOW, "dial: refused"),
        A: PinInfo(A, "a", Status.PIN_ERROR, NOW + 1, "no providers found", attempts=3),
    },
)
NOT_PINNED = GlobalPinInfo(CID, None, {A: PinInfo(A, "a", Status.UNPINNED, NOW)})
NODE = NodeInfo(
    A,
    "a",
    (f"/ip4/127.0.0.1/tcp/9096/p2p/{A}",),
    (A, B),
    (f"/ip4/10.0.0.2/tcp/9096/p2p/{B}",),
    (B,),
    "1.1.6+pinfold",
    IpfsInfo("QmA", (ORIGIN,)),
)
GRAPH = ConnectGraph(
    A, {B: "b", A: "a"}, {A: (B,), B: ()}, {A: True, B: False}, {A: "QmA"}, {"QmA": ("QmB",)}
)


def pings(peer: str) -> Ping:
    return Ping("a", "QmA", (ORIGIN,)) if peer == A else Ping()


TYPES: Mapping[str, Json] = {
    "pin_as_asked": shapes.pin_as_asked(FULL),
    "pin_as_asked_plain": shapes.pin_as_asked(PLAIN),
    "pin_as_stored": shapes.pin_as_stored(FULL),
    "pin_as_stored_plain": shapes.pin_as_stored(PLAIN),
    "global_pin_info": shapes.status(STATUS, NOW, pings),
    "global_pin_info_unpinned": shapes.status(NOT_PINNED, NOW, pings),
    "id": shapes.peer_id(NODE),
    "id_unreachable": shapes.peer_id(NodeInfo(B, "b", error="dial: refused")),
    "metrics": [shapes.metric(one, NOW) for one in (PING, FREE, TAG)],
    "alert": [shapes.alert(Alert(FREE, NOW), NOW)],
    "connect_graph": shapes.graph(GRAPH),
    "bandwidth": {"/meshsub": shapes.traffic(ProtocolTraffic(3, 40, 0.5, 0.0))},
    "repo_gc": [
        shapes.repo_gc(Member(A, "a", Role.TRUSTED), Collected((CID,))),
        shapes.repo_gc(Member(B, "b", Role.TRUSTED), Collected(error="no route")),
    ],
    "added_output": [
        shapes.added("d/x", str(CID), size=7, allocations=(A,)),
        shapes.added("d/x", None, received=262144),
        shapes.added("", str(CID)),
    ],
}


@pytest.mark.parametrize("name", sorted(TYPES))
def test_a_type_is_what_its_file_says(name: str) -> None:
    assert gojson.encode(TYPES[name]) == (GOLDEN / f"{name}.json").read_bytes()


def test_there_is_no_file_without_a_type() -> None:
    assert {file.stem for file in GOLDEN.iterdir()} == TYPES.keys()
