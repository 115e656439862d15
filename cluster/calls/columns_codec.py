"""StatusColumns on the wire: a dozen values for a thousand CIDs, so that reading them costs no Python.

What is read here was written by another member: it is bounded, in order and inside the range that was asked
for. Whether each key is a CID is looked at where it is one that this member does not know.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from itertools import accumulate, pairwise

from cluster.calls.codec import MAX_ANSWER, decode_rows, encode_rows
from cluster.common.key_order import in_order
from cluster.common.wire import Fields, Wire, encode
from cluster.errors import BadUpdate
from cluster.pin import KeyRange
from cluster.tracking.status_columns import PinnedColumns, RemoteColumns, StatusColumns

MAX_KEY = 255  # bytes: a length is one byte; a CID has at most 140
_MAX_COUNT = (1 << 63) - 1


def encode_columns(columns: StatusColumns) -> bytes:
    pinned, remote = columns.pinned, columns.remote
    return encode(
        {
            **_keys("pinned", pinned.cids),
            "pinned_since": _doubles(pinned.since),
            "blocks": _counts(pinned.blocks),
            "sizes": _counts(pinned.sizes),
            **_keys("remote", remote.cids),
            "remote_since": _doubles(remote.since),
            "rows": encode_rows(columns.rows),
            "until": columns.until,
        }
    )


def decode_columns(peer: str, name: str, data: bytes, keys: KeyRange, limit: int) -> StatusColumns:
    """What `peer` says of at most `limit` CIDs of that range. Raises BadUpdate."""
    fields = Fields.decode(data, MAX_ANSWER)
    until = fields.data("until", MAX_KEY)
    if not keys.after < until <= keys.until:
        raise BadUpdate("statuses end outside of what was asked for")
    pinned, remote = _read_keys(fields, "pinned", limit), _read_keys(fields, "remote", limit)
    rows = decode_rows(peer, name, fields, limit)
    for cids in (pinned, remote, [bytes(row.cid) for row in rows]):
        if not in_order(keys.after, cids) or (cids and cids[-1] > until):
            raise BadUpdate("statuses are out of order, or not what was asked for")
    if len(pinned) + len(remote) + len(rows) > limit:
        raise BadUpdate(f"more than {limit} statuses")
    return StatusColumns(
        PinnedColumns(
            pinned,
            _read_doubles(fields, "pinned_since", len(pinned)),
            _read_counts(fields, "blocks", len(pinned)),
            _read_counts(fields, "sizes", len(pinned)),
        ),
        RemoteColumns(remote, _read_doubles(fields, "remote_since", len(remote))),
        rows,
        until,
    )


def _keys(name: str, keys: Sequence[bytes]) -> dict[str, Wire]:
    return {name: b"".join(keys), f"{name}_lengths": bytes(map(len, keys))}


def _read_keys(fields: Fields, name: str, limit: int) -> list[bytes]:
    lengths = fields.data(f"{name}_lengths", limit, b"")
    packed = fields.data(name, MAX_ANSWER, b"")
    ends = list(accumulate(lengths, initial=0))
    if ends[-1] != len(packed):
        raise BadUpdate(f'"{name}" is not as long as its lengths say')
    return [packed[start:end] for start, end in pairwise(ends)]


def _doubles(numbers: Sequence[float]) -> bytes:
    return struct.pack(f">{len(numbers)}d", *numbers)


def _read_doubles(fields: Fields, name: str, count: int) -> Sequence[float]:
    numbers: tuple[float, ...] = struct.unpack(f">{count}d", _packed(fields, name, count))
    if not all(map(math.isfinite, numbers)):
        raise BadUpdate(f'"{name}" must be numbers')
    return numbers


def _counts(counts: Sequence[int]) -> bytes:
    return struct.pack(f">{len(counts)}Q", *counts)


def _read_counts(fields: Fields, name: str, count: int) -> Sequence[int]:
    counts: tuple[int, ...] = struct.unpack(f">{count}Q", _packed(fields, name, count))
    if max(counts, default=0) > _MAX_COUNT:
        raise BadUpdate(f'"{name}" must be counts')
    return counts


def _packed(fields: Fields, name: str, count: int) -> bytes:
    packed = fields.data(name, 8 * count, b"")
    if len(packed) != 8 * count:
        raise BadUpdate(f'"{name}" must have {count} numbers')
    return packed
