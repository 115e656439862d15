"""A streamed answer that ends with HTTP trailers, which aiohttp cannot send by itself.

ipfs-cluster and Kubo report what goes wrong after the first byte in the trailer `X-Stream-Error` (RFC 9110
section 6.5). As in Go's net/http, an announced trailer without a value is not sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_writer import StreamWriter

STREAM_ERROR = "X-Stream-Error"


class TrailerResponse(web.StreamResponse):
    """Announces X-Stream-Error; `trailers` holds its values, in order, when the body ends."""

    def __init__(self, *, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status=status, headers={**(headers or {}), "Trailer": STREAM_ERROR})
        self.trailers: Sequence[str] = ()
        self._trailer_writer: StreamWriter | None = None

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        writer = await super().prepare(request)
        if isinstance(writer, StreamWriter) and request.version >= HttpVersion11:
            self._trailer_writer = writer
        return writer

    async def write_eof(self, data: bytes = b"") -> None:
        """The last chunk, the trailers, the end. A client of HTTP/1.0 gets no trailers."""
        writer, self._trailer_writer = self._trailer_writer, None
        if writer is not None and writer.chunked:
            if data:
                await self.write(data)
                data = b""
            writer.send_headers()
            writer.chunked = False  # what follows is the end of the chunked body, not one more chunk
            await writer.write(_last_chunk(self.trailers))
        await super().write_eof(data)

    async def break_off(self, reason: str) -> None:
        """The last chunk and the trailer, without the line that ends both; the caller closes the connection.

        An answer that ended well would be kept by shared caches, as long as its Cache-Control says.
        """
        writer, self._trailer_writer = self._trailer_writer, None
        if writer is not None and writer.chunked:
            writer.chunked = False
            await writer.write(_last_chunk((reason,)).removesuffix(b"\r\n"))


def _last_chunk(values: Sequence[str]) -> bytes:
    fields = "".join(f"{STREAM_ERROR}: {_field_value(value)}\r\n" for value in values)
    return f"0\r\n{fields}\r\n".encode()


def _field_value(text: str) -> str:
    """One line of visible text: an error message must not end the header."""
    return "".join(c if c.isprintable() else " " for c in text).strip()
