"""Agreeing on a protocol: multistream-select (/multistream/1.0.0).

py-libp2p's own negotiation has no limit on a line's length, and lets a line that is not UTF-8 end the
host (measurements, section 6). This one reads at most 1 KiB a line and 32 lines, and raises one error.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from blockstore.common import varint
from node.p2p.errors import NotSpoken, ProtocolViolation
from node.p2p.transport.byte_stream import ByteStream, read_exactly

_HEADER = "/multistream/1.0.0"
_NOT_AVAILABLE = "na"
_LONGEST_LINE = 1024
_MOST_LINES = 32


async def ask(pipe: ByteStream, protocols: Sequence[str]) -> str:
    """As the side that opened the pipe: the first of `protocols` the peer speaks.

    Raises NotSpoken, ProtocolViolation, and what the pipe raises.
    """
    await pipe.write(_line(_HEADER) + _line(protocols[0]))
    await _read_header(pipe)
    for position, protocol in enumerate(protocols):
        if position:
            await pipe.write(_line(protocol))
        answer = await _read_line(pipe)
        if answer == protocol:
            return protocol
        if answer != _NOT_AVAILABLE:
            raise ProtocolViolation(f"asked for {protocol}, the peer answered {answer!r}")
    raise NotSpoken(f"the peer speaks none of {', '.join(protocols)}")


async def answer(pipe: ByteStream, protocols: Collection[str]) -> str:
    """As the side that accepted the pipe: the protocol asked for, one of `protocols`.

    Raises ProtocolViolation, and what the pipe raises.
    """
    await pipe.write(_line(_HEADER))
    await _read_header(pipe)
    for _ in range(_MOST_LINES):
        wish = await _read_line(pipe)
        if wish in protocols:
            await pipe.write(_line(wish))
            return wish
        await pipe.write(_line(_NOT_AVAILABLE))
    raise ProtocolViolation(f"{_MOST_LINES} protocols asked for, none of them spoken here")


def _line(text: str) -> bytes:
    data = text.encode() + b"\n"
    return varint.encode(len(data)) + data


async def _read_header(pipe: ByteStream) -> None:
    """Its bytes as they are, not as a line of any length: a wrong network key shows at once, as garbage."""
    expected = _line(_HEADER)
    if await read_exactly(pipe, len(expected)) != expected:
        raise ProtocolViolation("the peer does not speak multistream-select, or its network key is another")


async def _read_line(pipe: ByteStream) -> str:
    data = await read_exactly(pipe, await read_length(pipe, _LONGEST_LINE))
    try:
        return data.removesuffix(b"\n").decode()
    except UnicodeDecodeError:
        raise ProtocolViolation("a protocol's name is not UTF-8") from None


async def read_length(pipe: ByteStream, longest: int) -> int:
    """The varint before a message. Raises ProtocolViolation above `longest`, and what the pipe raises."""
    head = bytearray()
    while not head or head[-1] & 0x80:
        head += await read_exactly(pipe, 1)
        if len(head) > 9:
            raise ProtocolViolation("a length of more than 63 bits")
    length, _ = varint.decode(head)
    if length > longest:
        raise ProtocolViolation(f"a message of {length} bytes; the limit is {longest}")
    return length
