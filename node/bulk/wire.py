"""What members say to each other in bulk, byte by byte.

Request: `POST /v1/blocks`, its body the wanted CIDs, each behind its length in one byte. Answer: for each of
them, in order, a length in four bytes, big-endian, and the block; all ones where the member does not give it.
`POST /v1/offers` with the same body says what the sender is adding just now; it is answered with nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from blockstore.block import MAX_BLOCK_BYTES, Block
from blockstore.cid import CID
from blockstore.errors import BadCid

PROTOCOL = "/pinfold/bulk/1"
"""Under which the bytes of it are told, beside the protocols of libp2p."""

BLOCKS = "/v1/blocks"
OFFERS = "/v1/offers"
HELLO = "/v1/hello"
MAX_WANTS = 4096
"""CIDs of one request."""

MAX_WANTS_BYTES = 256 * 1024
_MAX_CID = 255
_HEAD = 4
_ABSENT = b"\xff\xff\xff\xff"
_JOINED = 64 * 1024  # bytes: smaller blocks are copied together, larger ones are sent as they are


class BadBulk(ValueError):
    """Bytes of another member that are no request, or no answer."""


def encode_wants(cids: Sequence[CID]) -> bytes:
    """For CIDs that `fits` lets pass, MAX_WANTS at most."""
    return b"".join(bytes((len(data),)) + data for data in map(bytes, cids))


def fits(cid: CID) -> bool:
    """Whether it can be asked for in bulk: what lies in its CID cannot."""
    return not cid.is_identity and len(bytes(cid)) <= _MAX_CID


def decode_wants(data: bytes) -> list[CID]:
    """Raises BadBulk for anything but 1 to MAX_WANTS CIDs."""
    cids: list[CID] = []
    position = 0
    if len(data) > MAX_WANTS_BYTES:
        raise BadBulk(f"a request of more than {MAX_WANTS_BYTES} bytes")
    while position < len(data):
        end = position + 1 + data[position]
        if end > len(data) or len(cids) == MAX_WANTS:
            raise BadBulk("a request that ends inside a CID, or has too many")
        try:
            cids.append(CID.decode(data[position + 1 : end]))
        except BadCid as error:
            raise BadBulk(str(error)) from None
        position = end
    if not cids:
        raise BadBulk("a request for nothing")
    return cids


def encode_blocks(blocks: Sequence[Block | None]) -> Iterator[bytes]:
    """The part of an answer for these, in pieces to send one after the other."""
    small: list[bytes] = []
    held = 0
    for block in blocks:
        if block is None:
            small.append(_ABSENT)
            continue
        small.append(len(block.data).to_bytes(_HEAD))
        if len(block.data) < _JOINED:
            small.append(block.data)
            held += len(block.data)
        if len(block.data) >= _JOINED or held >= _JOINED:
            yield b"".join(small)
            small, held = [], 0
        if len(block.data) >= _JOINED:
            yield block.data
    if small:
        yield b"".join(small)


class AnswerDecoder:
    """An answer as it comes: bytes in, blocks that are not hashed yet out, in order; None for an absent one.

    Holds one unfinished block at most, and copies each byte once.
    """

    def __init__(self, wanted: int) -> None:
        self._left = wanted  # answers that are still to come
        self._parts: list[memoryview] = []
        self._held = 0
        self._size: int | None = None  # of the block that has begun; None: its length is next

    @property
    def complete(self) -> bool:
        """Whether every wanted block was answered, and nothing came behind."""
        return not self._left and not self._held and self._size is None

    def feed(self, data: bytes) -> list[bytes | None]:
        """What is whole now. Raises BadBulk above MAX_BLOCK_BYTES, and for more than was wanted."""
        found: list[bytes | None] = []
        position, view = 0, memoryview(data)
        while True:
            needed = (_HEAD if self._size is None else self._size) - self._held
            if len(data) - position < needed:
                break
            whole = self._joined(view[position : position + needed])
            position += needed
            if self._size is not None:
                found.append(whole)
                self._size = None
            elif (size := self._read_size(whole)) is None:
                found.append(None)
            else:
                self._size = size
        self._keep(view[position:])
        return found

    def _joined(self, last: memoryview) -> bytes:
        parts, self._parts, self._held = self._parts, [], 0
        return b"".join((*parts, last))

    def _keep(self, part: memoryview) -> None:
        if part:
            self._parts.append(part)
            self._held += len(part)

    def _read_size(self, head: bytes) -> int | None:
        """Of the next block; None for one that is absent."""
        if not self._left:
            raise BadBulk("more blocks than were asked for")
        self._left -= 1
        if head == _ABSENT:
            return None
        size = int.from_bytes(head)
        if size > MAX_BLOCK_BYTES:
            raise BadBulk(f"a block of {size} bytes; the limit is {MAX_BLOCK_BYTES}")
        return size
