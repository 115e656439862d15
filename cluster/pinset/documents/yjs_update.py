"""Reads a foreign Yjs update (format v1) before the CRDT may see it.

Applying unread bytes is unsafe: 64 KB of nested arrays overflow the C stack and end the process, a reused
clock diverges silently, gaps stay pending for ever (docs/decisions/0004-pinset.md). A batch may hold only
what our own writer makes: entries of one map with one binary value each, by one client, and deletions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from blockstore.cid import CID
from blockstore.common import varint
from cluster.errors import BadUpdate
from cluster.pinset.documents.lib0 import Reader

ROOT = "pins"
MAX_KEY_BYTES = 512
MAX_CLIENT = (1 << 53) - 1

_ROOT_BYTES = ROOT.encode()
_HAS_LEFT, _HAS_RIGHT, _HAS_KEY, _TYPE = 0x80, 0x40, 0x20, 0x1F
_ANY = 8  # content type: a list of plain values
_ONE_BINARY = b"\x01\x74"  # one value inside it, with the tag of a binary one
_NOTHING_DELETED = b"\0"
_NEW_KEY = bytes([_ANY | _HAS_KEY, 1, len(_ROOT_BYTES)]) + _ROOT_BYTES  # an entry at a key that it names


def entry_key(cid: CID | str, client: int) -> str:
    """The key of that client's entry of a pin. One writer a key makes the map an observed-remove set."""
    return f"{cid}/{client:x}"


def read_key(key: str) -> tuple[CID, int]:
    """Raises BadUpdate unless the key is exactly what entry_key makes."""
    text, _, client = key.partition("/")
    try:
        cid, number = CID.parse(text), int(client, 16)
    except ValueError as error:
        raise BadUpdate(f"bad key of an entry: {error}") from None
    if number < 1 or str(cid) != text or f"{number:x}" != client:
        raise BadUpdate("a key of an entry in another than its one form")
    return cid, number


class MapEntry(NamedTuple):
    """One value set. `cid` is None when it replaces an earlier entry of that client, and so keeps its key.

    `origin` is the clock of the item that it replaces.
    """

    cid: CID | None
    value: bytes
    origin: int | None = None


@dataclass(frozen=True, slots=True)
class Deletion:
    """Items [start, end) of a client."""

    client: int
    start: int
    end: int


class Update(NamedTuple):
    """What one update does: `entries` of `client` at clocks from `start` on, and deletions of any client."""

    client: int
    start: int
    entries: tuple[MapEntry, ...]
    deletions: tuple[Deletion, ...]

    @property
    def end(self) -> int:
        return self.start + len(self.entries)

    @property
    def replaces(self) -> bool:
        """Whether it touches entries that are there already; else it only adds."""
        return bool(self.deletions) or any(entry.cid is None for entry in self.entries)


def encode_additions(client: int, clock: int, items: Sequence[tuple[str, bytes]]) -> bytes:
    """The update that sets (key, value) of each item, from that clock of the client on, and deletes nothing.

    The bytes that yrs makes of it: for keys without an entry of that client's.
    """
    parts = [b"\1", varint.encode(len(items)), varint.encode(client), varint.encode(clock)]
    for key, value in items:
        name = key.encode()
        parts += (_NEW_KEY, varint.encode(len(name)), name, _ONE_BINARY, varint.encode(len(value)), value)
    parts.append(_NOTHING_DELETED)
    return b"".join(parts)


def check_clocks(update: Update, clocks: Mapping[int, int], *, tolerant: bool) -> bool:
    """The causal gate: whether the update deletes what a document of these clocks has not, so has to wait.

    Raises BadUpdate when its items do not follow the client's last: a clock used twice, or a gap. A
    `tolerant` gate lets an update pass whose items are all there already.
    """
    clock = clocks.get(update.client, 0)
    if update.entries and update.start != clock and not (tolerant and update.end <= clock):
        raise BadUpdate(f"an update starts at clock {update.start}, not at {clock}")
    if not update.deletions:
        return False
    after = {**clocks, update.client: max(update.end, clock)}
    return any(deletion.end > after.get(deletion.client, 0) for deletion in update.deletions)


def parse(data: bytes, client: int, max_value: int) -> Update:
    """Read an update that must be `client`'s. Raises BadUpdate for anything our writer would not make."""
    return _parse_one(data, client, max_value) or _parse(data, client, max_value)


def _parse_one(data: bytes, client: int, max_value: int) -> Update | None:
    """Nearly every update: one entry of a new key, and nothing deleted. None of any other, right or wrong."""
    head = _head_of_one(client)
    try:
        start, at = varint.decode(data, len(head))
        length, key_at = varint.decode(data, at + len(_NEW_KEY))
        key_end = key_at + length
        size, value_at = varint.decode(data, key_end + len(_ONE_BINARY))
    except ValueError:
        return None
    end = value_at + size
    if (
        data.startswith(head)
        and data.startswith(_NEW_KEY, at)
        and data.startswith(_ONE_BINARY, key_end)
        and data[end:] == _NOTHING_DELETED
        and start < MAX_CLIENT
        and length <= MAX_KEY_BYTES
        and size <= max_value
    ):
        key = _own_key(data[key_at:key_end], client)
        return Update(client, start, (MapEntry(key, data[value_at:end]),), ())
    return None


@lru_cache(maxsize=64)
def _head_of_one(client: int) -> bytes:
    """Of an update by one client, of one item."""
    return b"\1\1" + varint.encode(client)


@lru_cache(maxsize=64)
def _tail_of_keys(client: int) -> bytes:
    return f"/{client:x}".encode()


def _parse(data: bytes, client: int, max_value: int) -> Update:
    reader = Reader(data)
    start, entries = _entries(reader, client, max_value)
    deletions = read_deletions(reader)
    if not reader.ended:
        raise BadUpdate("bytes behind the update")
    return Update(client, start, entries, deletions)


def _entries(reader: Reader, client: int, max_value: int) -> tuple[int, tuple[MapEntry, ...]]:
    clients = reader.integer()
    if clients == 0:
        return 0, ()
    count, author, start = reader.integer(), reader.integer(), reader.integer()
    if clients > 1 or author != client:
        raise BadUpdate("an update writes as a client that is not its author's")
    if start + count > MAX_CLIENT:
        raise BadUpdate("a clock beyond bounds")
    return start, tuple(_entry(reader, client, start + offset, max_value) for offset in range(count))


def _entry(reader: Reader, client: int, clock: int, max_value: int) -> MapEntry:
    if reader.passes(_NEW_KEY):  # nearly every one
        return MapEntry(_read_own_key(reader, client), read_value(reader, max_value))
    info = reader.byte()
    if info & _TYPE != _ANY or info & _HAS_RIGHT or not info & _HAS_KEY:
        raise BadUpdate(f"content of kind {info:#04x}, which no pin is made of")
    cid = None if info & _HAS_LEFT else read_cid(reader, client)
    origin = check_replaced(reader, client, clock) if info & _HAS_LEFT else None
    return MapEntry(cid, read_value(reader, max_value), origin)


def read_value(reader: Reader, max_value: int) -> bytes:
    """An entry's content. Raises BadUpdate unless it is one binary value."""
    if not reader.passes(_ONE_BINARY):
        raise BadUpdate("an entry that is not one binary value")
    return reader.block(max_value)


def check_replaced(reader: Reader, client: int, clock: int) -> int:
    """The item replaced. Raises BadUpdate unless it is an earlier one of the same client."""
    if reader.integer() != client or (origin := reader.integer()) >= clock:
        raise BadUpdate("an entry that replaces one of another author")
    return origin


def read_cid(reader: Reader, client: int) -> CID:
    """The pin of an entry that names its key. Raises BadUpdate unless that key is that client's."""
    if reader.integer() != 1 or reader.block(len(_ROOT_BYTES)) != _ROOT_BYTES:
        raise BadUpdate("an entry outside the pinset's map")
    return _read_own_key(reader, client)


def _read_own_key(reader: Reader, client: int) -> CID:
    return _own_key(reader.block(MAX_KEY_BYTES), client)


def _own_key(key: bytes, client: int) -> CID:
    """The pin of a key that is to be that client's. Raises BadUpdate."""
    tail = _tail_of_keys(client)
    try:
        if key.endswith(tail) and str(cid := CID.parse(text := key[: -len(tail)].decode())) == text:
            return cid
        cid, writer = read_key(key.decode())
    except UnicodeDecodeError:
        raise BadUpdate("a key that is not text") from None
    except ValueError as error:
        raise BadUpdate(f"bad key of an entry: {error}") from None
    if writer != client:
        raise BadUpdate(f"the entry of {cid} is under another author's key")
    return cid


def read_deletions(reader: Reader) -> tuple[Deletion, ...]:
    """The delete set at the end of an update."""
    found = []
    for _ in range(reader.integer()):
        client = reader.integer()
        for _ in range(reader.integer()):
            start, length = reader.integer(), reader.integer()
            if client > MAX_CLIENT or not length or start + length > MAX_CLIENT:
                raise BadUpdate("a deletion beyond bounds")
            found.append(Deletion(client, start, start + length))
    return tuple(found)
