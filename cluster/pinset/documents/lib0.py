"""Reads the byte encoding that Yjs is made of: LEB128 integers, bytes behind their length (lib0)."""

from __future__ import annotations

from cluster.errors import BadUpdate

_MAX_SHIFT = 63


class Reader:
    """A position in bytes. Reading past the end is a BadUpdate."""

    __slots__ = ("data", "position")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    @property
    def ended(self) -> bool:
        return self.position == len(self.data)

    def integer(self) -> int:
        """An unsigned integer below 2^63."""
        value = shift = 0
        data, position = self.data, self.position
        if position < len(data) and data[position] < 0x80:  # nearly every one
            self.position = position + 1
            return data[position]
        while position < len(data) and shift < _MAX_SHIFT:
            byte = data[position]
            position += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                self.position = position
                return value
            shift += 7
        raise BadUpdate("an integer in the update is cut off or too long")

    def byte(self) -> int:
        return self.take(1)[0]

    def block(self, limit: int) -> bytes:
        """Bytes behind their length."""
        length = self.integer()
        start, end = self.position, self.position + length
        if length > limit or end > len(self.data):
            raise BadUpdate(f"{length} bytes in an update where at most {limit} may be")
        self.position = end
        return self.data[start:end]

    def passes(self, expected: bytes) -> bool:
        """Whether these bytes come next; if so the position is behind them."""
        if not self.data.startswith(expected, self.position):
            return False
        self.position += len(expected)
        return True

    def take(self, length: int) -> bytes:
        end = self.position + length
        if end > len(self.data):
            raise BadUpdate("the update is cut off")
        piece = self.data[self.position : end]
        self.position = end
        return piece
