"""Blocks on disk, and what looks after them: garbage collection and scrubbing."""

from __future__ import annotations

from blockstore.store import NO_LIMIT
from node.http.metrics.series import Reading, counter, gauge
from node.parts import Parts
from node.services.gc import CollectionTotals
from node.services.scrub import ScrubState

_BLOCKS = gauge("pinfold_store_blocks", "Blocks that are stored")
_BYTES = gauge("pinfold_store_bytes", "Bytes of these")
_CACHED = gauge("pinfold_store_cached_bytes", "Those of them that make way for others")
_HELD = gauge("pinfold_store_held_bytes", "What all of it takes on the disk")
_RESERVED = gauge("pinfold_store_reserved_bytes", "Bytes that are to come, of adds and pins under way")
_FREE = gauge("pinfold_store_free_bytes", "Bytes that the store would still take")
_QUOTA = gauge("pinfold_store_quota_bytes", "storage.quota; 0: as much as the disk holds")
_DAMAGED = gauge(
    "pinfold_store_damaged_blocks", "Blocks that were here and are missing until they come again"
)

_GC_RUNS = counter("pinfold_gc_runs_total", "Garbage collections that were begun")
_GC_BLOCKS = counter("pinfold_gc_removed_blocks_total", "Blocks that they removed")
_GC_BYTES = counter("pinfold_gc_removed_bytes_total", "Bytes of these")
_GC_ENDED = gauge("pinfold_gc_ended_timestamp_seconds", "When the last one ended; 0: none since the start")

_SCRUB_RUNNING = gauge("pinfold_scrub_running", "1 while every block is being read anew")
_SCRUB_BLOCKS = gauge("pinfold_scrub_sound_blocks", "Sound blocks of the pass that runs, or of the last one")
_SCRUB_BYTES = gauge("pinfold_scrub_sound_bytes", "Bytes of these")
_SCRUB_DAMAGED = gauge("pinfold_scrub_damaged_blocks", "Blocks of it that are damaged")
_SCRUB_UNREADABLE = gauge("pinfold_scrub_unreadable_blocks", "Blocks of it that the disk did not give")
_SCRUB_ENDED = gauge("pinfold_scrub_ended_timestamp_seconds", "When the last pass ended; 0: none yet")
_SCRUB_DUE = gauge("pinfold_scrub_due_timestamp_seconds", "When the next one is due")


async def store_readings(parts: Parts) -> list[Reading]:
    usage = await parts.store.usage()
    return [
        _BLOCKS.now(usage.blocks),
        _BYTES.now(usage.bytes),
        _CACHED.now(usage.cached),
        _HELD.now(usage.held),
        _RESERVED.now(usage.reserved),
        *([_FREE.now(usage.free)] if usage.free < NO_LIMIT else []),
        _QUOTA.now(usage.quota),
        _DAMAGED.now(usage.damaged),
        *_collections(parts.garbage_collection.totals),
        *_scrub(parts.scrub.state),
    ]


def _collections(totals: CollectionTotals) -> list[Reading]:
    return [
        _GC_RUNS.now(totals.begun),
        _GC_BLOCKS.now(totals.blocks),
        _GC_BYTES.now(totals.bytes),
        _GC_ENDED.now(totals.ended),
    ]


def _scrub(state: ScrubState) -> list[Reading]:
    return [
        _SCRUB_RUNNING.now(state.is_running),
        _SCRUB_BLOCKS.now(state.blocks),
        _SCRUB_BYTES.now(state.bytes),
        _SCRUB_DAMAGED.now(state.damaged),
        _SCRUB_UNREADABLE.now(state.unreadable),
        _SCRUB_ENDED.now(state.ended),
        _SCRUB_DUE.now(state.due),
    ]
