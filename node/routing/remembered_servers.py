"""Servers of the DHT that answered, kept over restarts: by them a node finds the network again.

Hints: a lost or damaged file costs a slower start.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from blockstore.common.text_file import read_text
from cluster.common.peer_id import check_peer
from cluster.errors import BadAddress
from node.files.atomic_write import atomic_write
from node.multiaddress_bytes import BadMultiaddress, to_bytes
from node.routing.router import Provider

MOST = 200
_ADDRESSES = 8  # of one
_FORGOTTEN = 90 * 86400.0  # seconds without an answer
_FAILURES = 3  # after which a server goes for the next that is new
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Remembered:
    server: Provider
    seen: float
    failures: int = 0


class RememberedServers:
    """`path`: the file. `now`: seconds since 1970."""

    def __init__(self, path: Path, now: Callable[[], float]) -> None:
        self._path = path
        self._now = now
        self._saved = ""
        self._servers = {one.server.peer: one for one in _read(path, now() - _FORGOTTEN)}

    def __len__(self) -> int:
        return len(self._servers)

    def best(self) -> list[Provider]:
        """Those that failed least first, then those that answered last."""
        ordered = sorted(self._servers.values(), key=lambda one: (one.failures, -one.seen))
        return [one.server for one in ordered]

    def answered(self, servers: Iterable[Provider]) -> None:
        """These are there now; the worst go where there are more than MOST."""
        for server in servers:
            if server.addresses:
                self._servers[server.peer] = _Remembered(server, self._now())
        keep = [server.peer for server in self.best()[:MOST]]
        self._servers = {peer: self._servers[peer] for peer in keep}

    def failed(self, peer: str) -> None:
        """It did not answer, and others did; the third time it is forgotten."""
        if peer in self._servers:
            self._servers[peer].failures += 1

    async def save(self) -> None:
        """Write the file if something has changed. A full disk is logged: these are hints."""
        alive = [one for one in self._servers.values() if one.failures < _FAILURES] or self._servers.values()
        text = json.dumps([_as_json(one) for one in alive], indent=1)
        if text == self._saved:
            return
        try:
            await asyncio.to_thread(atomic_write, self._path, text.encode(), durable=False)
            self._saved = text
        except OSError as error:
            _log.warning("servers of the DHT could not be kept: %s", error)


def _as_json(one: _Remembered) -> dict[str, object]:
    return {"peer": one.server.peer, "addresses": one.server.addresses[:_ADDRESSES], "seen": one.seen}


def _read(path: Path, since: float) -> list[_Remembered]:
    """What can be used of the file; what cannot is said and left out."""
    try:
        found = json.loads(read_text(path)) if path.exists() else []
        if not isinstance(found, list):
            raise TypeError("not a list of servers")
    except (OSError, ValueError, TypeError, RecursionError) as error:
        _log.warning("%s is damaged and not used: %r", path, error)
        return []
    entries = [_entry(one) for one in found[:MOST]]
    if None in entries:
        _log.warning("%s is damaged: %d of its entries are not used", path, entries.count(None))
    return [one for one in entries if one is not None and one.seen > since]


def _entry(found: object) -> _Remembered | None:
    """None for what is not an entry."""
    if not isinstance(found, dict):
        return None
    peer, addresses, seen = found.get("peer"), found.get("addresses"), found.get("seen")
    if not isinstance(peer, str) or not isinstance(addresses, list) or not isinstance(seen, int | float):
        return None
    try:
        check_peer(peer)
        places = tuple(one for one in addresses[:_ADDRESSES] if isinstance(one, str) and to_bytes(one))
    except (BadAddress, BadMultiaddress):
        return None
    return _Remembered(Provider(peer, places), float(seen))
