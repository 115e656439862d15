"""Answers with bytes: one block, or a stream; conditions and ranges are the same for both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from aiohttp import HttpVersion11, hdrs, web

from blockstore.errors import BlockstoreError
from node.http.app_key import PARTS
from node.http.errors import EXPECTED, text_of
from node.http.gateway.replies import conditions, messages, ranges, response_headers
from node.http.gateway.replies.pacing import writer
from node.http.gateway.replies.size_limits import TooLarge, check_range
from node.http.media_types import sniff
from node.http.slow_clients import end_by_reset
from node.http.trailers import TrailerResponse
from node.retrieval.deadline import Deadline

_LINGER = 30.0  # seconds for what was written before an answer broke off

Reader = Callable[[int, int], AsyncGenerator[bytes]]
"""(start, stop) -> the bytes between, in pieces."""

_TOO_LONG = "the whole answer took longer than this gateway allows"


def conditional(request: web.Request, headers: response_headers.Headers) -> web.Response | None:
    """The answer when the client has this content (304), or wants only other content (412); else None.

    `headers` are those of the whole answer, Etag among them.
    """
    if conditions.failed(request.headers, headers):
        response = messages.error_message(request, 412, "the content is not, or no longer, the one asked for")
        response.headers["Etag"] = headers["Etag"]
        return response
    if not conditions.known(request.headers, headers):
        return None
    headers.popall("Content-Type", None)
    return web.Response(status=304, headers=headers)


def part(request: web.Request, headers: response_headers.Headers, size: int) -> tuple[int, int] | None:
    """Start and stop (exclusive) of the range asked for, None for all. Raises BadRange, Unsatisfiable.

    Of nothing all is given, as by Go's servers: some clients put a range into every request.
    """
    asked = request.headers.get("Range")
    if asked is None or not size or not conditions.parts_fit(request.headers, headers):
        return None
    return ranges.part(asked, size)


def whole(request: web.Request, data: bytes, headers: response_headers.Headers) -> web.Response:
    """Content that is in memory. Raises BadRange, Unsatisfiable."""
    headers["Accept-Ranges"] = "bytes"
    wanted = part(request, headers, len(data))
    if wanted is None:
        headers["Content-Length"] = str(len(data))  # aiohttp leaves out a zero where HEAD asks
        return web.Response(body=data, headers=headers)
    start, stop = wanted
    headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(data)}"
    return web.Response(status=206, body=data[start:stop], headers=headers)


async def streamed(
    request: web.Request, size: int, headers: response_headers.Headers, read: Reader, deadline: Deadline
) -> web.StreamResponse:
    """Content that is read while it is sent; `deadline` is that of the blocks it is read from.

    Without a Content-Type its first bytes say what it is. Raises BadRange, Unsatisfiable, RangeOfTooLarge,
    and what the first piece raises.
    """
    headers["Accept-Ranges"] = "bytes"
    wanted = part(request, headers, size)
    start, stop = wanted or (0, size)
    if wanted:
        check_range(size, request.app[PARTS].config.gateway.max_range_file)
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    headers["Content-Length"] = str(stop - start)
    response = web.StreamResponse(status=206 if wanted else 200, headers=headers)
    return await send(request, response, read(start, stop), deadline)


async def send(
    request: web.Request,
    response: web.StreamResponse,
    pieces: AsyncGenerator[bytes],
    deadline: Deadline,
    broken_off: bytes = b"",
) -> web.StreamResponse:
    """Headers go with the first piece, so that what it raises can still be answered with a status.

    Later troubles break the connection, which is how a client knows that it has not got everything;
    `broken_off` is the last it gets then. HEAD gets the headers, and nothing is read for it.
    """
    if request.method == "HEAD":
        await response.prepare(request)
        return response
    longest = request.app[PARTS].config.gateway.max_seconds or None
    write = writer(request, response)
    async with aclosing(pieces):
        first = await anext(pieces, b"")
        deadline.first_byte()
        if hdrs.CONTENT_TYPE not in response.headers:
            response.headers[hdrs.CONTENT_TYPE] = sniff.sniff(first)
        await response.prepare(request)
        try:
            async with asyncio.timeout(longest):
                await write(first)
                async for piece in pieces:
                    await write(piece)
        except (BlockstoreError, TimeoutError, TooLarge) as error:
            await _break(request, response, broken_off, error)
        except ConnectionError:
            raise  # the client has left
        except Exception as error:  # any answer to it would go out as a part of the content
            guard = request.app[PARTS].guard
            with guard.around(f"sending {request.path!r} to", str(request.remote), *EXPECTED):
                await _break(request, response, broken_off, error)
                raise
    return response


async def _break(request: web.Request, response: web.StreamResponse, last: bytes, error: Exception) -> None:
    """End without the end that the protocol asks for; where a trailer was announced, it says why."""
    if last:
        await response.write(last)
    if isinstance(response, TrailerResponse):
        await response.break_off(text_of(error) if str(error) else _TOO_LONG)
    if request.transport is not None:
        if request.version < HttpVersion11:
            end_by_reset(request.transport)
        request.transport.close()  # what is written is still sent, to a client that takes it
        asyncio.get_running_loop().call_later(_LINGER, request.transport.abort)


async def gathered(pieces: AsyncGenerator[bytes], size: int = 64 * 1024) -> AsyncGenerator[bytes]:
    """The same bytes in pieces of at least that size: fewer writes, and early troubles still get a status."""
    parts: list[bytes] = []
    length = 0
    async with aclosing(pieces):
        async for piece in pieces:
            parts.append(piece)
            length += len(piece)
            if length >= size:
                yield b"".join(parts)
                parts, length = [], 0
    yield b"".join(parts)
