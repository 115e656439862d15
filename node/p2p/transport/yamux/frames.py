"""The frames of yamux: a header of twelve bytes, and data after that of a data frame (hashicorp/yamux)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Protocol

from node.p2p.errors import ProtocolViolation

PROTOCOL = "/yamux/1.0.0"
INITIAL_WINDOW = 256 * 1024  # bytes a stream may be sent unasked, by the specification
MAX_DATA = 65519 - 12  # bytes of a data frame that we write: with its header, exactly one Noise message

DATA, UPDATE, PING, GO_AWAY = range(4)
SYN, ACK, FIN, RST = 1, 2, 4, 8

_HEADER = struct.Struct("!BBHII")
_SIZE = _HEADER.size


def header(kind: int, flags: int, number: int, value: int) -> bytes:
    """`value`: a length for data, else a window's growth, a ping's number, or a reason."""
    return _HEADER.pack(0, kind, flags, number, value)


def data_frames(number: int, data: memoryview) -> bytes:
    """Frames that carry these bytes of one stream."""
    return b"".join(_data_parts(number, data))


def _data_parts(number: int, data: memoryview) -> Iterator[bytes | memoryview]:
    for start in range(0, len(data), MAX_DATA):
        piece = data[start : start + MAX_DATA]
        yield header(DATA, 0, number, len(piece))
        yield piece


class FrameSink(Protocol):
    """What takes the frames of the other side, in order."""

    def take_frame(self, kind: int, flags: int, number: int, value: int) -> None:
        """One header. The `value` bytes after that of a data frame follow by `take_data`."""
        ...

    def take_data(self, piece: bytes, last: bool) -> None:
        """Some bytes of the data frame that began before; `last`: it ends with them."""
        ...


class FrameParser:
    """Cuts what each read brings into frames, or parts of them, in one pass."""

    def __init__(self, sink: FrameSink) -> None:
        self._sink = sink
        self._header = b""  # of the frame that begins
        self._left = 0  # bytes of the data frame that is being read

    def parse(self, data: bytes) -> None:
        """Raises ProtocolViolation, and what the sink raises."""
        position, end = 0, len(data)
        while position < end:
            if self._left:
                piece = data[position : position + self._left]
                position += len(piece)
                self._left -= len(piece)
                self._sink.take_data(piece, not self._left)
            else:
                found = data[position : position + _SIZE - len(self._header)]
                position += len(found)
                self._header += found
                if len(self._header) == _SIZE:
                    self._take_header()

    def _take_header(self) -> None:
        version, kind, flags, number, value = _HEADER.unpack(self._header)
        self._header = b""
        if version != 0 or kind > GO_AWAY:
            raise ProtocolViolation(f"not a yamux frame (version {version}, type {kind})")
        self._left = value if kind == DATA else 0
        self._sink.take_frame(kind, flags, number, value)
