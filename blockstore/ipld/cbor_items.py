"""Items of CBOR (RFC 8949): their heads, their counts, and where they end."""

from __future__ import annotations

from blockstore.errors import BadBlock

UNSIGNED, NEGATIVE, BYTES, TEXT, LIST, MAP, TAG, SIMPLE = range(8)
LINK = 42
BREAK = b"\xff"
# How many items are left at a level that ends with a break is unknown; in a map, a key or a value is next.
INDEFINITE, INDEFINITE_KEY, INDEFINITE_VALUE = -1, -2, -3
ONE_LESS = {INDEFINITE: INDEFINITE, INDEFINITE_KEY: INDEFINITE_VALUE, INDEFINITE_VALUE: INDEFINITE_KEY}
_SIZES = {25: 2, 26: 4, 27: 8}


def head(data: bytes, position: int) -> tuple[int, int, int]:
    """The first bytes of an item: its major type, its argument (INDEFINITE: none), and where it goes on."""
    try:
        first = data[position]
        info = first & 31
        if info < 24:
            return first >> 5, info, position + 1
        if info == 24:
            return first >> 5, data[position + 1], position + 2
    except IndexError:
        raise bad_at(position, "the bytes end before the value does") from None
    if size := _SIZES.get(info):
        end = position + 1 + size
        if end > len(data):
            raise bad_at(position, "the bytes end before the value does")
        return first >> 5, int.from_bytes(data[position + 1 : end], "big"), end
    if info == 31 and BYTES <= first >> 5 <= MAP:
        return first >> 5, INDEFINITE, position + 1
    raise bad_at(position, f"0x{first:02x} begins no value")


def count_of(data: bytes, position: int, major: int, argument: int) -> int:
    """How many follow: each has a byte at least, so what claims more is not whole."""
    if argument == INDEFINITE:
        return INDEFINITE if major == LIST else INDEFINITE_KEY
    count = 2 * argument if major == MAP else argument
    if count > len(data) - position:
        raise bad_at(position, "the bytes end before the value does")
    return count


def skip_string(data: bytes, position: int, major: int, argument: int) -> int:
    if argument != INDEFINITE:
        end = position + argument
    else:
        end = position
        while end < len(data) and data[end : end + 1] != BREAK:
            kind, size, start = head(data, end)
            if kind != major or size == INDEFINITE:
                raise bad_at(end, "a string in pieces has another thing in it")
            end = start + size
        end += 1
    if end > len(data):
        raise bad_at(position, "the bytes end before the value does")
    return end


def joined_pieces(data: bytes, position: int, end: int) -> bytes:
    parts: list[bytes] = []
    while position < end:
        _, size, start = head(data, position)
        position = start + size
        parts.append(data[start:position])
    return b"".join(parts)


def check_end(data: bytes, position: int) -> None:
    if position != len(data):
        raise bad_at(position, f"{len(data) - position} bytes follow the value")


def bad_at(position: int, reason: str) -> BadBlock:
    return BadBlock(f"invalid dag-cbor at byte {position}: {reason}")
