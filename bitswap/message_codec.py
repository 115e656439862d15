"""The wire form of a Bitswap message (specs: bitswap-protocol, protobuf of 1.0.0 to 1.2.0).

The codec is written by hand because blocks of a mebibyte pass through it: bytes are joined once on the way
out and sliced once on the way in. Decoding is bounded and strict; unknown fields are skipped.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator

from bitswap.errors import BadMessage
from bitswap.message import (
    PROTOCOL_1_0,
    PROTOCOL_1_2,
    V0_PREFIX,
    Message,
    Payload,
    Presence,
    WantlistEntry,
    WantType,
    parse_prefix,
)
from blockstore.cid import CID
from blockstore.common import varint
from blockstore.common.protobuf import BadProtobuf, bytes_field, fields, int32, varint_field

MAX_MESSAGE_BYTES = 4 * 1024 * 1024
MAX_ENTRIES = 16_384  # of wants, of blocks and of presences, each
_MESSAGE = {1: 2, 2: 2, 3: 2, 4: 2, 5: 0}  # fields of a message: number to wire type
_STEP = 128  # items: a millisecond or two of decoding


def encode(message: Message, protocol: str = PROTOCOL_1_2) -> bytes:
    """Wire form for a peer of that protocol: 1.0.0 has bare blocks, and only 1.2.0 has presences."""
    parts: list[bytes] = []
    if message.entries or message.full:
        wantlist = [bytes_field(1, _encode_entry(entry)) for entry in message.entries]
        wantlist.append(varint_field(2, message.full))
        parts.append(bytes_field(1, b"".join(wantlist)))
    for payload in message.payloads:
        parts += _payload_parts(payload, bare=protocol == PROTOCOL_1_0)
    if protocol == PROTOCOL_1_2:
        parts += [bytes_field(4, _encode_presence(presence)) for presence in message.presences]
        parts.append(varint_field(5, message.pending_bytes))
    return b"".join(parts)


def decode(data: bytes) -> Message:
    """From wire form, either version of it. Raises BadMessage, and only that."""
    return next(message for message in reading(data) if message is not None)


def reading(data: bytes) -> Iterator[Message | None]:
    """As `decode`, a little at a time: None after each _STEP items, so that others have a turn."""
    if len(data) > MAX_MESSAGE_BYTES:
        raise BadMessage(f"message of {len(data)} bytes is above {MAX_MESSAGE_BYTES}")
    try:
        yield from _read(data)
    except BadProtobuf as error:
        raise BadMessage(str(error)) from None


def _read(data: bytes) -> Iterator[Message | None]:
    wantlist = bytearray()
    payloads: list[Payload] = []
    presences: list[Presence] = []
    pending = 0
    for count, (number, value, span) in enumerate(fields(memoryview(data), _MESSAGE, MAX_ENTRIES)):
        if number == 3:
            payloads.append(_decode_payload(span))
        elif number == 2:
            payloads.append(Payload(V0_PREFIX, bytes(span)))
        elif number == 4:
            presences.append(_decode_presence(span))
        elif number == 5:
            pending = max(0, int32(value))
        else:
            wantlist += span  # a message field that is repeated merges: concatenation, in protobuf
        if count % _STEP == _STEP - 1:
            yield None
    entries: list[WantlistEntry] = []
    full = yield from _read_wantlist(memoryview(wantlist), entries)
    yield Message(tuple(entries), full, tuple(payloads), tuple(presences), pending)


def _read_wantlist(span: memoryview, entries: list[WantlistEntry]) -> Generator[None, None, bool]:
    """Appends the entries, in steps; whether the list is a full one."""
    full = False
    for count, (number, value, inner) in enumerate(fields(span, {1: 2, 2: 0}, MAX_ENTRIES)):
        if number == 1:
            entries.append(_decode_entry(inner))
        else:
            full = bool(value)
        if count % _STEP == _STEP - 1:
            yield None
    return full


def _encode_entry(entry: WantlistEntry) -> bytes:
    return (
        bytes_field(1, bytes(entry.cid))
        + varint_field(2, entry.priority)
        + varint_field(3, entry.cancel)
        + varint_field(4, entry.type)
        + varint_field(5, entry.send_dont_have)
    )


def _encode_presence(presence: Presence) -> bytes:
    return bytes_field(1, bytes(presence.cid)) + varint_field(2, not presence.have)


def _payload_parts(payload: Payload, bare: bool) -> tuple[bytes, ...]:
    size = varint.encode(len(payload.data))
    if bare:
        return b"\x12" + size, payload.data
    head = b"\x0a" + varint.encode(len(payload.prefix)) + payload.prefix + b"\x12" + size
    return b"\x1a" + varint.encode(len(head) + len(payload.data)) + head, payload.data


def _decode_payload(span: memoryview) -> Payload:
    found = dict.fromkeys((1, 2), memoryview(b""))
    for number, _, value in fields(span, {1: 2, 2: 2}):
        found[number] = value
    prefix = bytes(found[1])
    parse_prefix(prefix)
    return Payload(prefix, bytes(found[2]))


def _decode_presence(span: memoryview) -> Presence:
    data = bytes(span)
    if (position := _behind_cid(data)) and (kind := _KINDS.get(data[position:])) is not None:
        return Presence(_decode_cid(data[2:position]), kind == 0)
    name = memoryview(b"")
    kind = 0
    for number, value, inner in fields(span, {1: 2, 2: 0}):
        if number == 1:
            name = inner
        else:
            kind = value
    if kind > 1:
        raise BadMessage(f"block presence {kind} is unknown")
    return Presence(_decode_cid(name), kind == 0)


def _decode_entry(span: memoryview) -> WantlistEntry:
    data = bytes(span)
    numbers = [0, 0, 0, 0, 0, 0]
    if (position := _behind_cid(data)) and _quickly(data, position, numbers):
        name: bytes | memoryview = data[2:position]
    else:
        name, numbers = b"", [0, 0, 0, 0, 0, 0]
        for number, value, inner in fields(span, {1: 2, 2: 0, 3: 0, 4: 0, 5: 0}):
            if number == 1:
                name = inner
            else:
                numbers[number] = value
    _, _, priority, cancel, kind, send_dont_have = numbers
    if kind > 1:
        raise BadMessage(f"want type {kind} is unknown")
    return WantlistEntry(_decode_cid(name), _TYPES[kind], int32(priority), bool(cancel), bool(send_dont_have))


# Nearly all entries and presences are written in one way: the CID, then small numbers. Wantlists of a
# thousand entries are common, so that way is read several times faster; any other by the general reader.
_TYPES = (WantType.BLOCK, WantType.HAVE)
_KINDS = {b"": 0, b"\x10\x00": 0, b"\x10\x01": 1}
_USUAL = 160  # bytes
_NUMBERS = frozenset((0x10, 0x18, 0x20, 0x28))


def _behind_cid(data: bytes) -> int:
    """Where a message's first field ends, when that is a CID of at most 127 bytes; else 0."""
    if not 2 <= len(data) <= _USUAL or data[0] != 0x0A or data[1] > min(0x7F, len(data) - 2):
        return 0
    return 2 + data[1]


def _quickly(data: bytes, position: int, numbers: list[int]) -> bool:
    """Read the numbers of an entry; False when they are written in an unusual way."""
    end = len(data)
    while position < end - 1:
        tag, value = data[position], data[position + 1]
        if tag not in _NUMBERS or (value > 0x7F and tag != 0x10):
            return False
        position += 2
        if value > 0x7F:  # a priority of several bytes
            try:
                value, position = varint.decode(data, position - 1)
            except ValueError:
                return False
        numbers[tag >> 3] = value
    return position == end


def _decode_cid(data: bytes | memoryview) -> CID:
    try:
        return CID.decode(bytes(data))
    except ValueError as error:  # BadCid, and what its varints raise
        raise BadMessage(f"a message names {error}") from None
