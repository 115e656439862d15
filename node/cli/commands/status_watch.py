"""`pinfold status --watch`: statuses again whenever they change."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from node.cli.api.client import ApiClient, Query, segment
from node.cli.api.event_stream import HeardEvent, listen
from node.cli.api.response import ApiResponse

MAX_UNSETTLED = 200
"""CIDs that are asked for again each second, since other members may still be at work on them."""

_AGAIN_SECONDS = 1.0
_MOVING = frozenset(("pinning", "pin_queued", "unpinning", "unpin_queued"))


def watched(api: ApiClient, cids: Sequence[str], here: Query) -> Iterator[ApiResponse]:
    """The status of each CID now, and again each time that it is another; of all of them where none is named.

    Events of this node say when to ask; while a member still works on a CID it is asked for each second too.
    Raises NoDaemon, ApiError.
    """
    said: dict[str, object] = {}
    unsettled: dict[str, None] = dict.fromkeys(cids)
    for about in _occasions(api, cids, unsettled):
        for cid in about:
            info = api.get(f"/pins/{segment(cid)}", here)
            unsettled.pop(cid, None)
            if _is_moving(info) and len(unsettled) < MAX_UNSETTLED:
                unsettled[cid] = None
            if said.get(cid) != (now := _comparable(info)):
                said[cid] = now
                yield info
            if not cids and cid not in unsettled:
                del said[cid]  # of any number of CIDs: what is settled is not compared


def _occasions(api: ApiClient, cids: Sequence[str], unsettled: dict[str, None]) -> Iterator[list[str]]:
    """CIDs to ask for: at first those that are named, then what events are about, and what is unsettled."""
    heard: queue.Queue[HeardEvent | Exception] = queue.Queue(10_000)
    query = [("types", "pin,status"), *([("cids", ",".join(cids))] if cids else [])]
    threading.Thread(target=_hear, args=(api, query, heard.put), daemon=True).start()
    again = time.monotonic()
    while True:
        found: dict[str, None] = {}
        try:
            event: HeardEvent | Exception = heard.get(timeout=_AGAIN_SECONDS if unsettled else None)
            while True:
                if isinstance(event, Exception):
                    raise event
                found |= _about(event, cids)
                event = heard.get_nowait()
        except queue.Empty:
            pass
        if time.monotonic() >= again + _AGAIN_SECONDS:
            again = time.monotonic()
            found |= unsettled
        yield list(found)


def _hear(api: ApiClient, query: Query, put: Callable[[HeardEvent | Exception], None]) -> None:
    try:
        for event in listen(api, query):
            put(event)
    except Exception as error:  # noqa: BLE001 - carried to the thread that reads the queue, which raises it
        put(error)


def _about(event: HeardEvent, cids: Sequence[str]) -> dict[str, None]:
    if event.kind in ("hello", "missed"):
        return dict.fromkeys(cids)
    return {event.facts.text("cid"): None}


def _is_moving(info: ApiResponse) -> bool:
    return any(peer.text("status") in _MOVING for _, peer in info.answer("peer_map").items())


def _comparable(info: ApiResponse) -> object:
    """What makes it another: not the times, which go on by themselves."""
    peers = {
        peer: (one.text("status"), one.text("error"), str(one.raw.get("progress")))
        for peer, one in info.answer("peer_map").items()
    }
    return info.text("name"), info.raw.get("allocations"), peers
