"""The series of ipfs-cluster 1.1 (`observations/metrics.go`), under the same names and with its meaning."""

from __future__ import annotations

from cluster.metrics.metric_store import FREESPACE
from cluster.ports import OperationKind
from cluster.tracking.operation import Lane
from node.http.metrics.series import Reading, gauge, untyped
from node.parts import Parts

_PINS = gauge("ipfscluster_pins", "Pins of the cluster")
_QUEUED = gauge("ipfscluster_pins_pin_queued", "Pins that wait to be pinned here")
_PINNING = gauge("ipfscluster_pins_pinning", "Pins that are being pinned here")
_ERROR = gauge("ipfscluster_pins_pin_error", "Pins that could not be pinned here and are tried again")
_HERE = gauge("ipfscluster_pins_ipfs_pins", "Pins in this node's own list, complete or not")
_ADD = untyped("ipfscluster_pins_pin_add", "Attempts to pin here that have ended, since the start")
_ADD_ERRORS = untyped("ipfscluster_pins_pin_add_errors", "Those of them that failed")
_PUT = untyped("ipfscluster_blocks_put", "Blocks that were handed to the store, since the start")
_PUT_ERRORS = untyped("ipfscluster_blocks_put_errors", "Those of them that it refused")
_ADDED = untyped("ipfscluster_blocks_added", "Blocks that were stored and not here before, since the start")
_ADDED_SIZE = untyped("ipfscluster_blocks_added_size", "Bytes of these")
_DISK = gauge("ipfscluster_informer_disk", "Weight of this node's metric freespace: bytes that still fit")


async def upstream_readings(parts: Parts) -> list[Reading]:
    return [*await _pins(parts), *_attempts(parts), *_blocks(parts), *_informer(parts)]


async def _pins(parts: Parts) -> list[Reading]:
    tracking = parts.cluster.tracking
    running = tracking.work().running
    return [
        _PINS.now(await parts.pinset.count()),
        _QUEUED.now(tracking.pins_waiting()),
        _PINNING.now(sum(running[lane] for lane in Lane if lane.kind is OperationKind.PIN)),
        _ERROR.now(await tracking.failing(OperationKind.PIN)),
        _HERE.now(await parts.garbage_collection.pins.count()),
    ]


def _attempts(parts: Parts) -> list[Reading]:
    work = parts.cluster.tracking.work()
    return [
        _ADD.now(work.ended.get(OperationKind.PIN, 0)),
        _ADD_ERRORS.now(work.failed.get(OperationKind.PIN, 0)),
    ]


def _blocks(parts: Parts) -> list[Reading]:
    counts = parts.store.put_counts
    return [
        _PUT.now(counts.put),
        _PUT_ERRORS.now(counts.failed),
        _ADDED.now(counts.stored),
        _ADDED_SIZE.now(counts.stored_bytes),
    ]


def _informer(parts: Parts) -> list[Reading]:
    latest = parts.cluster.metrics.latest(parts.peer, FREESPACE)
    return [] if latest is None else [_DISK.now(latest.weight)]
