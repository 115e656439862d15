"""A long way between two processes on one machine: TCP through a relay that delivers what it gets later."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from blockstore.common.tasks import Tasks, open_tasks

_CHUNK = 256 * 1024
_UNDER_WAY = 64 * 1024 * 1024  # bytes of one direction; more wait at their sender


@contextmanager
def slow_link(port: int, delay: float) -> Iterator[int]:
    """A port that leads to that one; all comes out `delay` seconds after it went in, both ways."""
    ports: queue.Queue[int] = queue.Queue()
    loop = asyncio.new_event_loop()
    serving = loop.create_task(_serve(port, delay, ports))
    thread = threading.Thread(target=lambda: loop.run_until_complete(asyncio.wait([serving])))
    thread.start()
    try:
        yield ports.get(timeout=20)
    finally:
        loop.call_soon_threadsafe(serving.cancel)
        thread.join()
        loop.close()


async def _serve(port: int, delay: float, ports: queue.Queue[int]) -> None:
    async with open_tasks() as tasks:

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
            _carry(tasks, reader, far_writer, delay)
            _carry(tasks, far_reader, writer, delay)

        async with await asyncio.start_server(accept, "127.0.0.1", 0, limit=_CHUNK) as server:
            ports.put(int(server.sockets[0].getsockname()[1]))
            await asyncio.Event().wait()


def _carry(tasks: Tasks, source: asyncio.StreamReader, sink: asyncio.StreamWriter, delay: float) -> None:
    """One direction of a connection."""
    line: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_UNDER_WAY // _CHUNK)
    tasks.spawn(_take_in(source, line, delay))
    tasks.spawn(_give_out(line, sink))


async def _take_in(
    source: asyncio.StreamReader, line: asyncio.Queue[tuple[float, bytes]], delay: float
) -> None:
    data = b"."
    while data:
        try:
            data = await source.read(_CHUNK)
        except ConnectionError:
            data = b""
        await line.put((asyncio.get_running_loop().time() + delay, data))


async def _give_out(line: asyncio.Queue[tuple[float, bytes]], sink: asyncio.StreamWriter) -> None:
    """The end of the one side is the end of the other."""
    data = b"."
    try:
        while data:
            due, data = await line.get()
            await asyncio.sleep(due - asyncio.get_running_loop().time())
            sink.write(data)
            await sink.drain()
    except ConnectionError:
        return
    finally:
        sink.close()
