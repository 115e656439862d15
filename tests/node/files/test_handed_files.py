"""Open files over a Unix socket, by a real one: what is taken, what is not, and that none stays open."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from node.files.handed_files import TICKET_BYTES, HandedFiles, UnknownTicket, taking_files

MOST = 16  # files of one connection that may wait


@contextmanager
def opened(path: Path, flags: int = os.O_RDONLY) -> Iterator[int]:
    handle = os.open(path, flags)
    try:
        yield handle
    finally:
        os.close(handle)


class Giver:
    """A program that hands files over."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))
        self._socket.setblocking(False)

    def send(self, *handles: int, said: bytes = b"\0") -> None:
        socket.send_fds(self._socket, [said], handles)

    async def ticket(self) -> str:
        """Empty where the connection was closed."""
        try:
            said = await asyncio.get_running_loop().sock_recv(self._socket, TICKET_BYTES)
        except ConnectionResetError:
            return ""
        return said.decode()

    def leave(self) -> None:
        self._socket.close()


@asynccontextmanager
async def taking(folder: Path) -> AsyncIterator[tuple[HandedFiles, Giver]]:
    async with taking_files(folder / "files.sock") as files:
        giver = Giver(folder / "files.sock")
        try:
            yield files, giver
        finally:
            giver.leave()


@pytest.fixture
def content(tmp_path: Path) -> Path:
    file = tmp_path / "content"
    file.write_bytes(b"what it holds")
    return file


def descriptors() -> int:
    return len(os.listdir("/dev/fd"))


async def test_a_file_is_read_that_was_unlinked_meanwhile_and_its_ticket_is_good_once(
    tmp_path: Path, content: Path
) -> None:
    async with taking(tmp_path) as (files, giver):
        with opened(content) as handle:
            giver.send(handle)
            ticket = await giver.ticket()
        os.unlink(content)
        with files.claiming() as claim:
            file = claim(ticket)
            assert file.read() == b"what it holds"
            with pytest.raises(UnknownTicket):
                claim(ticket)
        assert file.closed


async def test_only_its_owner_can_open_the_socket_and_it_is_gone_in_the_end(tmp_path: Path) -> None:
    async with taking_files(tmp_path / "files.sock"):
        assert (tmp_path / "files.sock").stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / "files.sock").exists()


async def test_what_is_no_file_to_read_ends_the_connection_and_stays_open_nowhere(
    tmp_path: Path, content: Path
) -> None:
    pipe = os.pipe()
    with opened(content, os.O_WRONLY) as written, opened(tmp_path) as folder, opened(content) as good:
        before = descriptors()
        async with taking_files(tmp_path / "files.sock") as files:
            for handles in ([], [written], [folder], [pipe[0]], [good, good]):
                giver = Giver(tmp_path / "files.sock")
                giver.send(*handles)
                assert await giver.ticket() == "", handles
                giver.leave()
            assert repr(files) == "<HandedFiles: 0 wait for their part, 0 connections>"
        assert descriptors() == before
    os.close(pipe[0])
    os.close(pipe[1])


async def test_what_waits_when_its_program_leaves_is_closed(tmp_path: Path, content: Path) -> None:
    before = descriptors()
    async with taking(tmp_path) as (files, giver), asyncio.timeout(10):
        with opened(content) as handle:
            giver.send(handle)
            ticket = await giver.ticket()
        giver.leave()
        while "0 connections" not in repr(files):  # noqa: ASYNC110 - no event tells of it
            await asyncio.sleep(0)
        with files.claiming() as claim, pytest.raises(UnknownTicket):
            claim(ticket)
    assert descriptors() == before


async def test_a_program_waits_for_its_next_ticket_while_many_of_its_files_wait(
    tmp_path: Path, content: Path
) -> None:
    async with taking(tmp_path) as (files, giver), asyncio.timeout(10):
        tickets = []
        with opened(content) as handle:
            for _ in range(MOST):
                giver.send(handle)
                tickets.append(await giver.ticket())
            giver.send(handle)
        late = asyncio.create_task(giver.ticket())
        for _ in range(100):
            await asyncio.sleep(0)
        assert not late.done()
        with files.claiming() as claim:
            claim(tickets[0])
            assert len(await late) == TICKET_BYTES


async def test_a_path_that_no_socket_can_have_only_means_that_nothing_is_handed_over(tmp_path: Path) -> None:
    async with taking_files(tmp_path / ("x" * 120)) as files:
        assert repr(files) == "<HandedFiles: 0 wait for their part, 0 connections>"
