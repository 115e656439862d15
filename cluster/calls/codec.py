"""What members say to each other of themselves and their pins, in its form on the wire (strict dag-cbor).

What is read here was written by another member: every field is bounded and checked, and nothing is believed
about a peer but what that peer says of itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import cast

from blockstore.cid import CID
from cluster.calls.node_info import IpfsInfo, NodeInfo
from cluster.common.names import as_name
from cluster.common.wire import Fields, Wire, encode
from cluster.errors import BadUpdate
from cluster.pin import PinInfo, Progress, Status
from cluster.tracking.leases import Copy
from cluster.tracking.status import StatusPage, StatusRow

MAX_ANSWER = 4 * 1024 * 1024
MAX_REQUEST = 64 * 1024
MAX_TOGETHER = 400
"""CIDs of one request: each has at most 140 bytes."""
_MAX_ADDRESSES = 256
_MAX_PEERS = 4096


def encode_node(node: NodeInfo) -> bytes:
    return encode(
        {
            "name": node.peer_name,
            "at": list(node.addresses[:_MAX_ADDRESSES]),
            "members": list(node.cluster_peers[:_MAX_PEERS]),
            "members_at": list(node.cluster_peer_addresses[:_MAX_PEERS]),
            "connected": list(node.connected[:_MAX_PEERS]),
            "version": node.version,
            "ipfs": node.ipfs.id,
            "ipfs_at": list(node.ipfs.addresses[:_MAX_ADDRESSES]),
            "ipfs_peers": sorted(node.ipfs.peers)[:_MAX_PEERS],
        }
    )


def decode_node(peer: str, data: bytes) -> NodeInfo:
    """What `peer` says of itself. Raises BadUpdate."""
    fields = Fields.decode(data, MAX_ANSWER)
    return NodeInfo(
        id=peer,
        peer_name=as_name(fields.text("name", "")),
        addresses=_printable(fields.texts("at", _MAX_ADDRESSES)),
        cluster_peers=_printable(fields.texts("members", _MAX_PEERS)),
        cluster_peer_addresses=_printable(fields.texts("members_at", _MAX_PEERS)),
        connected=_printable(fields.texts("connected", _MAX_PEERS)),
        version=as_name(fields.text("version", "")),
        ipfs=IpfsInfo(
            id=as_name(fields.text("ipfs", "", 128)),
            addresses=_printable(fields.texts("ipfs_at", _MAX_ADDRESSES)),
            peers=frozenset(_printable(fields.texts("ipfs_peers", _MAX_PEERS))),
        ),
    )


def _printable(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Those without control characters, which a terminal would obey: peer ids and addresses have none."""
    return tuple(text for text in texts if as_name(text) == text)


def encode_page(page: StatusPage) -> bytes:
    return encode(
        {
            "rows": encode_rows(page.rows),
            "after": bytes(page.after) if page.after else b"",
        }
    )


def decode_page(peer: str, name: str, data: bytes, after: CID | None, limit: int) -> StatusPage:
    """A page of `peer` behind `after`. Raises BadUpdate for one out of order, which would never end."""
    fields = Fields.decode(data, MAX_ANSWER)
    rows = decode_rows(peer, name, fields, limit)
    end = fields.data("after", 512)
    keys = [bytes(after) if after else b"", *(bytes(row.cid) for row in rows)]
    if any(second <= first for first, second in pairwise(keys)):
        raise BadUpdate("statuses are out of order")
    if end and (end < keys[-1] or end <= keys[0]):
        raise BadUpdate("the next page would begin before this one")
    return StatusPage(rows, decode_cid(end) if end else None)


def encode_rows(rows: Sequence[StatusRow]) -> list[Wire]:
    return [{"cid": bytes(row.cid), **_info_fields(row.info)} for row in rows]


def decode_rows(peer: str, name: str, fields: Fields, limit: int) -> tuple[StatusRow, ...]:
    """What `peer` says of at most `limit` CIDs. Raises BadUpdate."""
    return tuple(_row(peer, name, item) for item in fields.items("rows", limit))


def encode_info(info: PinInfo) -> bytes:
    return encode(_info_fields(info))


def decode_info(peer: str, name: str, data: bytes) -> PinInfo:
    """What `peer` says of one pin. Raises BadUpdate."""
    return _info(peer, name, Fields.decode(data, MAX_REQUEST))


def encode_infos(infos: Sequence[PinInfo]) -> bytes:
    return encode({"infos": [dict(_info_fields(info)) for info in infos]})


def decode_infos(peer: str, name: str, data: bytes, count: int) -> list[PinInfo]:
    """What `peer` says of so many pins, in the order of the question. Raises BadUpdate."""
    infos = [
        _info(peer, name, Fields(item)) for item in Fields.decode(data, MAX_ANSWER).items("infos", count)
    ]
    if len(infos) != count:
        raise BadUpdate(f"{len(infos)} statuses of {count}")
    return infos


def encode_copies(copies: Sequence[Copy]) -> bytes:
    return encode(
        {
            "cids": [bytes(copy.cid) for copy in copies],
            "blocks": [place for place, copy in enumerate(copies) if not copy.recursive],
        }
    )


def decode_copies(fields: Fields) -> list[Copy]:
    """At most MAX_TOGETHER; "blocks" are the places of those that are one block. Raises BadUpdate."""
    blocks = fields.items("blocks", MAX_TOGETHER)
    return [
        Copy(decode_cid(cid), place not in blocks)
        for place, cid in enumerate(fields.datas("cids", MAX_TOGETHER))
    ]


def encode_held(held: Sequence[bool]) -> bytes:
    return encode({"held": bytes(held)})


def decode_held(data: bytes, count: int) -> list[bool]:
    """Of so many copies, in the order of the question. Raises BadUpdate."""
    held = Fields.decode(data, MAX_REQUEST).data("held", count)
    if len(held) != count or set(held) - {0, 1}:
        raise BadUpdate(f"{len(held)} answers of {count}")
    return [bool(one) for one in held]


def decode_cid(data: bytes) -> CID:
    """Raises BadUpdate."""
    try:
        return CID.decode(data)
    except ValueError as error:
        raise BadUpdate(str(error)) from None


def decode_statuses(fields: Fields, key: str) -> frozenset[Status]:
    """Raises BadUpdate for a status that is unknown here."""
    try:
        return frozenset(Status(text) for text in fields.texts(key, 64))
    except ValueError as error:
        raise BadUpdate(str(error)) from None


def _info_fields(info: PinInfo) -> Mapping[str, Wire]:
    """Fields at their default are left out: most rows of a listing are plain."""
    fields: dict[str, Wire] = {
        "error": info.error,
        "tries": info.attempts,
        "priority": int(info.priority),
        "retry": info.retry_at,
        "progress": _counts(info.progress),
        **_pace(info.progress),
    }
    return {"status": info.status.value, "since": info.since} | {k: v for k, v in fields.items() if v}


def _counts(progress: Progress | None) -> Wire:
    return [progress.blocks, progress.bytes, progress.pending] if progress else None


def _pace(progress: Progress | None) -> dict[str, Wire]:
    """Apart from the counts, of which earlier releases take three."""
    if progress is None or not progress.pending:
        return {}
    pace: dict[str, Wire] = {"rate": int(progress.rate)}
    return pace if progress.remaining is None else {**pace, "remaining": progress.remaining}


def _row(peer: str, name: str, item: Wire) -> StatusRow:
    fields = Fields(item)
    return StatusRow(decode_cid(fields.data("cid", 512)), _info(peer, name, fields))


def _info(peer: str, name: str, fields: Fields) -> PinInfo:
    try:
        status = Status(fields.text("status", limit=64))
    except ValueError as error:
        raise BadUpdate(str(error)) from None
    return PinInfo(
        peer=peer,
        peer_name=name,
        status=status,
        since=fields.number("since"),
        error=fields.text("error", ""),
        attempts=fields.integer("tries", 0),
        priority=bool(fields.integer("priority", 0, high=1)),
        progress=_progress(fields),
        retry_at=fields.number("retry") if "retry" in fields else None,
    )


def _progress(fields: Fields) -> Progress | None:
    counts = fields.items("progress", 3)
    if not counts:
        return None
    if len(counts) != 3 or not all(type(count) is int and count >= 0 for count in counts):
        raise BadUpdate('"progress" must be three counts')
    blocks, size, pending = cast("list[int]", counts)
    remaining = fields.integer("remaining") if "remaining" in fields else None
    return Progress(blocks, size, pending, remaining, float(fields.integer("rate", 0)))
