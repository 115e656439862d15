"""Addresses of peers, kept over restarts. Hints: a lost or damaged file costs a look-up, never data."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from blockstore.common.text_file import read_text
from blockstore.errors import StorageFull
from node.files.atomic_write import atomic_write
from node.p2p.errors import UndialableAddress
from node.p2p.swarm.multiaddress import parse

_MAX_PEERS = 1024
_MAX_ADDRESSES = 8
_SAVE_AFTER = 5.0  # seconds after a change
_REJECTED_FOR = 3600.0  # seconds for which an address where another peer answered is not used
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _KnownAddress:
    addresses: list[str]  # without /p2p/; the one that worked last comes first
    wanted: bool = False
    rejected: dict[str, float] = field(default_factory=dict)  # address -> until when; not saved


class AddressBook:
    """Peer id -> addresses; those least recently heard of are forgotten first, wanted ones never."""

    def __init__(self, path: Path | None = None, now: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._now = now
        self._peers: OrderedDict[str, _KnownAddress] = OrderedDict(_read(path))
        self._changed = asyncio.Event()
        self._saved = ""

    def addresses(self, peer: str) -> tuple[str, ...]:
        """With `/p2p/`, the best first."""
        return self.candidates(peer, ())

    def candidates(self, peer: str, others: Iterable[str]) -> tuple[str, ...]:
        """Where to dial that peer: what is known, then `others`, each once; none that was rejected."""
        entry = self._peers.get(peer, _KnownAddress([]))
        places = dict.fromkeys([*entry.addresses, *map(_without_peer, others)])
        return tuple(f"{place}/p2p/{peer}" for place in places if not self._is_rejected(entry, place))

    def wanted(self) -> list[str]:
        """Peers to stay connected to."""
        return [peer for peer, entry in self._peers.items() if entry.wanted]

    def want(self, peer: str, wanted: bool) -> None:
        self._entry(peer).wanted = wanted
        self._changed.set()

    def learn(self, peer: str, addresses: Iterable[str], *, first: bool = False) -> None:
        """Remember addresses of that peer; `first` for one that has just worked."""
        entry = self._entry(peer)
        found = [_without_peer(address) for address in addresses]
        new = [place for place in found if first or place not in entry.addresses]
        old = [place for place in entry.addresses if place not in new]
        for place in found if first else ():
            entry.rejected.pop(place, None)
        places = new + old if first else old + new
        usable = [place for place in places if not self._is_rejected(entry, place)]
        entry.addresses = usable[:_MAX_ADDRESSES]
        self._changed.set()

    def reject(self, peer: str, address: str) -> bool:
        """That address is another peer's: not used for this one for an hour. Whether that is news."""
        entry, place = self._entry(peer), _without_peer(address)
        if self._is_rejected(entry, place):
            return False
        entry.rejected[place] = self._now() + _REJECTED_FOR
        entry.addresses = [one for one in entry.addresses if one != place]
        self._changed.set()
        return True

    def readmit(self, peer: str) -> None:
        """What was rejected for that peer may be true by now."""
        if peer in self._peers:
            self._peers[peer].rejected.clear()

    async def keep_saved(self) -> None:
        """Write the file some seconds after each change, until cancelled."""
        while True:
            await self._changed.wait()
            await asyncio.sleep(_SAVE_AFTER)
            self._changed.clear()
            await self.save()

    async def save(self) -> None:
        """Write the file if something has changed. A full disk is logged: these are hints."""
        try:
            await self._write(durable=False)
        except OSError as error:
            _log.warning("addresses of peers could not be kept: %s", error)

    async def save_durably(self) -> None:
        """As `save`; on the disk when it returns, as which peers are wanted has to be. Raises StorageFull."""
        try:
            await self._write(durable=True)
        except OSError as error:
            raise StorageFull(f"cannot write {self._path}: {error.strerror}") from error

    async def _write(self, *, durable: bool) -> None:
        text = json.dumps(
            {peer: _as_json(entry) for peer, entry in self._peers.items() if entry.addresses}, indent=1
        )
        if self._path is not None and text != self._saved:
            await asyncio.to_thread(atomic_write, self._path, text.encode(), durable=durable)
            self._saved = text

    def _is_rejected(self, entry: _KnownAddress, place: str) -> bool:
        return entry.rejected.get(place, 0.0) > self._now()

    def _entry(self, peer: str) -> _KnownAddress:
        entry = self._peers.setdefault(peer, _KnownAddress([]))
        self._peers.move_to_end(peer)
        if len(self._peers) > _MAX_PEERS:
            oldest = next((one for one, entry in self._peers.items() if not entry.wanted), peer)
            del self._peers[oldest]
        return entry


def _without_peer(address: str) -> str:
    return address.partition("/p2p/")[0]


def _as_json(entry: _KnownAddress) -> dict[str, object]:
    return {"addresses": entry.addresses, "wanted": entry.wanted}


def _read(path: Path | None) -> dict[str, _KnownAddress]:
    """What can be used of the file; what cannot is said and left out."""
    try:
        if path is None or not path.exists():
            return {}
        found = json.loads(read_text(path))
        if not isinstance(found, dict):
            raise TypeError("not a table of peers")
    except (OSError, ValueError, TypeError, RecursionError) as error:
        _log.warning("%s is damaged and not used: %r", path, error)
        return {}
    entries = {peer: _entry_of(peer, entry) for peer, entry in list(found.items())[:_MAX_PEERS]}
    bad = sorted(peer[:64] for peer, entry in entries.items() if entry is None)
    if bad:
        _log.warning(
            "%s is damaged: %d entries are not used, that of %r is the first", path, len(bad), bad[0]
        )
    return {peer: entry for peer, entry in entries.items() if entry is not None}


def _entry_of(peer: str, entry: object) -> _KnownAddress | None:
    """None for what is not an entry."""
    addresses = entry.get("addresses") if isinstance(entry, dict) else None
    if not isinstance(entry, dict) or not isinstance(addresses, list):
        return None
    checked = [place for address in addresses[:_MAX_ADDRESSES] if (place := _place(address, peer))]
    return _KnownAddress(checked, entry.get("wanted") is True) if checked or not addresses else None


def _place(address: object, peer: str) -> str:
    """The address without its peer; empty for what is none."""
    try:
        return str(parse(f"{address}/p2p/{peer}")).rpartition("/p2p/")[0]
    except UndialableAddress:
        return ""
