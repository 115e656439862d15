"""The ledger of one peer, for people."""

from __future__ import annotations

from collections.abc import Iterator

from node.cli.api.response import ApiResponse
from node.cli.output.progress import human_bytes


def ledger_lines(peer: ApiResponse) -> Iterator[str]:
    """A peer as `/v1/swarm/peers` has it."""
    gone = "" if peer.raw.get("connected") is True else "  gone"
    yield f"{peer.text('peer')}{gone}"
    ledger = peer.answer("ledger")
    yield f"  sent {_moved(ledger, 'sent')}, received {_moved(ledger, 'received')}{_repeats(ledger)}"
    queued = human_bytes(ledger.number("queued_bytes"))
    yield f"  wants {ledger.number('wants')} ({queued} queued), asked for {ledger.number('asked')}"


def _moved(ledger: ApiResponse, way: str) -> str:
    return f"{human_bytes(ledger.number(f'bytes_{way}'))} in {ledger.number(f'blocks_{way}')} blocks"


def _repeats(ledger: ApiResponse) -> str:
    repeats = ledger.number("duplicate_blocks")
    return f", {repeats} of them again" if repeats else ""
