"""Pages of statuses as lines of JSON, byte for byte those of `shapes.status`, made of ready parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import libipld

from blockstore.cid import CID
from cluster.calls.global_page import GlobalPage, MemberStatuses
from cluster.common.pin_glance import PinGlance
from cluster.metrics.informers import Ping
from cluster.pin import PinInfo
from node.http.go.gojson import as_text, as_utf8, sorted_map, time
from node.http.rest import shapes
from node.http.rest.shapes import PingOf

_LINES = 128  # in one piece: less than a time slice of the event loop
_FINE = ',"error":"","attempt_count":0,"priority_pin":false'


def pieces(page: GlobalPage, now: float, ping_of: PingOf) -> Iterator[bytes]:
    """The lines of that page, a few at a time; `now` is told as `created` of what is not pinned."""
    lines = _Lines(page, now, ping_of)
    for start in range(0, len(page.keys), _LINES):
        text = "".join(filter(None, map(lines.line, page.keys[start : start + _LINES])))
        if text:
            yield as_utf8(text)


@dataclass(frozen=True, slots=True)
class _MemberParts:
    """What every line says of that member alike, up to where they differ."""

    said: MemberStatuses
    ping: Ping
    head: str
    pinned: str
    remote: str

    @classmethod
    def of(cls, said: MemberStatuses, ping: Ping) -> _MemberParts:
        names = as_text({"peername": said.name, **shapes.ipfs_names(ping)}).removesuffix("}")
        head = f"{as_text(said.peer)}:{names}"
        return cls(
            said,
            ping,
            f"{as_text(said.peer)}:",
            f'{head},"status":"pinned","timestamp":"',
            f'{head},"status":"remote","timestamp":"',
        )

    def fine(self, key: bytes, pin: PinGlance | None, created: str) -> str:
        """Of one that is pinned or remote; empty where it is neither."""
        counts = self.said.pinned.get(key)
        since = self.said.remote.get(key) if counts is None else counts[0]
        if since is None:
            return ""
        at = created if pin is not None and since == pin.created else time(since)
        if counts is None:
            return f'{self.remote}{at}"{_FINE}}}'
        have = f'"progress":{{"blocks":{counts[1]},"bytes":{counts[2]},"pending":0}}'
        return f'{self.pinned}{at}"{_FINE},{have}}}'

    def other(self, info: PinInfo) -> str:
        return self.head + as_text(shapes.peer_status(info, self.ping))


class _Lines:
    def __init__(self, page: GlobalPage, now: float, ping_of: PingOf) -> None:
        self._pins = page.pins
        self._failures = page.failures
        self._now = time(now)
        parts = [_MemberParts.of(said, ping_of(said.peer)) for said in page.members]
        self._members = [one for one in parts if one.said.failed is None]
        self._failed = [(one, one.said.failed) for one in parts if one.said.failed is not None]
        self._peers: dict[tuple[str, ...], str] = {}  # lists of allocations, of which there are few

    def line(self, key: bytes) -> str:
        """Empty where no member has anything to say of it."""
        pin = self._pins.get(key)
        created = self._now if pin is None else time(pin.created)
        told = {one.said.peer: text for one in self._members if (text := self._told(one, key, pin, created))}
        if not told and not self._failures:
            return ""
        for one, info in self._failed:
            if pin is None or pin.held_by(one.said.peer):
                told[one.said.peer] = one.other(info)
        if not told:
            return ""
        if self._failed:
            told = dict(sorted(told.items()))
        return f"{self._head(key, pin, created)}{{{','.join(told.values())}}}{_asked(pin)}}}\n"

    def _told(self, one: _MemberParts, key: bytes, pin: PinGlance | None, created: str) -> str:
        text = one.fine(key, pin, created)
        if text or (info := one.said.others.get(key)) is None:
            return text
        return one.other(info)

    def _head(self, key: bytes, pin: PinGlance | None, created: str) -> str:
        if pin is None:
            return (
                f'{{"cid":"{_text(key)}","name":"","allocations":[],"origins":null,"created":"{created}",'
                '"metadata":null,"peer_map":'
            )
        return (
            f'{{"cid":"{_text(key)}","name":{as_text(pin.name)},"allocations":{self._list(pin.allocations)},'
            f'"origins":{as_text(pin.origins) if pin.origins else "[]"},"created":"{created}",'
            f'"metadata":{_map(pin.metadata)},"peer_map":'
        )

    def _list(self, peers: Sequence[str]) -> str:
        if not peers:
            return "[]"
        key = tuple(peers)
        text = self._peers.get(key)
        if text is None:
            text = self._peers[key] = as_text(peers)
        return text


def _text(key: bytes) -> str:
    """As of CID."""
    if key[0] == 1:
        return str(libipld.encode_multibase("b", key))
    return str(CID.decode(key))


def _map(metadata: Mapping[str, str]) -> str:
    return as_text(sorted_map(metadata)) if metadata else "null"


def _asked(pin: PinGlance | None) -> str:
    if pin is None:
        return ""
    if pin.max_size or pin.deadline or pin.attempts:
        asked = _asked_until(pin.mode, pin.replication_min, pin.replication_max, pin.expire_at)
        return f"{asked},{as_text(shapes.limits(pin))[1:-1]}"
    if pin.expire_at is None:
        return _asked_for_ever(pin.mode, pin.replication_min, pin.replication_max)
    return _asked_until(pin.mode, pin.replication_min, pin.replication_max, pin.expire_at)


def _asked_until(mode: str, least: int, most: int, end: float | None) -> str:
    return (
        f',"mode":{as_text(mode)},"replication_factor_min":{least},"replication_factor_max":{most},'
        f'"expire_at":"{time(end, whole=True)}"'
    )


@lru_cache(maxsize=256)
def _asked_for_ever(mode: str, least: int, most: int) -> str:
    return _asked_until(mode, least, most, None)
