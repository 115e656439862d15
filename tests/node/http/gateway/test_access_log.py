"""The access log: one line a request, whatever the client sends and whatever becomes of the file."""

import os
import re
import stat
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.gateway import file_of, narrow_connection, open_gateway
from support.node import eventually

from blockstore.block import Block
from node.config.sections import GatewayConfig
from node.http.log.access_log import AccessLog, AccessLogEntry, AccessLogUnusable, open_access_log, written
from node.http.log.sinks import LogFile

SMALL = Block.of(b"hello\n")
LINE = re.compile(
    r'(\S+) - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000\] "([^"]*)" (\d{3}) (\d+) '
    r'"([^"]*)" "([^"]*)" "([^"]*)" \d+\.\d{3}'
)


def access(
    *,
    client: str = "192.0.2.1",
    request: str = "GET / HTTP/1.1",
    referer: str = "",
    agent: str = "",
    host: str = "",
) -> AccessLogEntry:
    return AccessLogEntry(client, 1.8e9, request, 200, 6, referer, agent, host, 0.0123)


def has(path: Path, text: str) -> Callable[[], Awaitable[bool]]:
    """Whether the file has that text by now."""

    def found() -> bool:
        return path.exists() and text.encode() in path.read_bytes()

    async def check() -> bool:
        return found()

    return check


def lines(path: Path) -> list[tuple[str, ...]]:
    return [_read(line) for line in path.read_text("ascii").splitlines()]


def _read(line: str) -> tuple[str, ...]:
    match = LINE.fullmatch(line)
    assert match, line
    return match.groups()


async def requested(path: Path, folder: Path, *requests: tuple[str, dict[str, str]]) -> list[tuple[str, ...]]:
    """What the log says of these requests (path, headers)."""
    async with open_gateway(folder, GatewayConfig(access_log=str(path))) as gateway:
        await gateway.put(SMALL)
        for asked, headers in requests:
            await gateway.get(asked, **headers)
    return lines(path)


async def test_a_line_is_the_combined_format_with_host_and_seconds_behind() -> None:
    assert access(agent="curl/8", host="gw.example.org").line() == (
        b'192.0.2.1 - - [15/Jan/2027:08:00:00 +0000] "GET / HTTP/1.1" 200 6 '
        b'"-" "curl/8" "gw.example.org" 0.012\n'
    )


async def test_requests_are_logged_with_what_they_asked_and_got(tmp_path: Path) -> None:
    path = f"/ipfs/{SMALL.cid}"
    agent = {"User_Agent": "test", "Host": "gw.example.org:80", "Referer": "http://a/b"}
    found = await requested(
        tmp_path / "log",
        tmp_path / "node",
        (path, agent),
        (path, agent),
        (path + "?x=%22", agent),
        (path, agent | {"method": "HEAD"}),
        (path, agent | {"If_None_Match": "*"}),
        ("/ipfs/nonsense", agent | {"X_Forwarded_For": "2001:db8::1"}),
    )
    tail = ("http://a/b", "test", "gw.example.org:80")
    assert found[:5] == [
        ("127.0.0.1", f"GET {path} HTTP/1.1", "200", "6", *tail),
        ("127.0.0.1", f"GET {path} HTTP/1.1", "200", "6", *tail),
        ("127.0.0.1", f"GET {path}?x=%22 HTTP/1.1", "200", "6", *tail),
        ("127.0.0.1", f"HEAD {path} HTTP/1.1", "200", "0", *tail),
        ("127.0.0.1", f"GET {path} HTTP/1.1", "304", "0", *tail),
    ]
    assert found[5][:3] == ("2001:db8::1", "GET /ipfs/nonsense HTTP/1.1", "400")


async def test_streams_refusals_and_clients_that_leave_are_logged_too(tmp_path: Path) -> None:
    piece = Block.of(b"p" * 1024 * 1024)
    large = file_of([piece] * 32)
    log = tmp_path / "log"
    async with open_gateway(
        tmp_path / "node", GatewayConfig(access_log=str(log), client_requests=1)
    ) as gateway:
        await gateway.put(piece, large)
        await gateway.get(f"/ipfs/{large.cid}", Range="bytes=0-2999999")
        listener = gateway.node.faces.gateway
        reader, writer = await narrow_connection(listener.host, listener.port)
        writer.write(f"GET /ipfs/{large.cid} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        await reader.readline()
        assert (await gateway.get("/ipfs/bafkqaaa")).status == 429
        writer.transport.abort()

        async def three() -> bool:
            return len(log.read_bytes().splitlines()) == 3

        await eventually(three)
    (_, _, status, size, *_), refused, left = lines(log)
    assert (status, size) == ("206", "3000000")
    assert refused[2] == "429"
    assert left[2] == "499"
    assert 0 < int(left[3]) < 32 * 1024 * 1024


@given(st.text() | st.binary().map(lambda data: data.decode(errors="surrogateescape")))
def test_any_text_stays_inside_its_quotes_and_on_its_line(text: str) -> None:
    line = access(client="c", request=text, referer=text, agent=text, host=text).line()
    assert line.count(b"\n") == 1
    assert LINE.fullmatch(line[:-1].decode("ascii"))
    assert len(line) < 5 * 4 * 4096


def test_what_a_client_injects_can_be_read_as_what_it_is() -> None:
    assert b'"a\\x22 \\x0A\\x5C\\xC3\\xA9"' in access(agent='a" \n\\é').line()


async def test_a_log_that_was_moved_away_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "log"
    async with open_access_log(str(path)) as log:
        assert log is not None
        log.write(access(agent="before"))
        await eventually(has(path, "before"))
        path.rename(tmp_path / "log.1")
        log.write(access(agent="after"))
    assert [line[5] for line in lines(tmp_path / "log.1")] == ["before"]
    assert [line[5] for line in lines(path)] == ["after"]
    assert stat.S_IMODE(path.stat().st_mode) & 0o007 == 0


async def test_lines_are_appended_to_those_of_yesterday(tmp_path: Path) -> None:
    for agent in ("yesterday", "today"):
        async with open_access_log(str(tmp_path / "log")) as log:
            assert log is not None
            log.write(access(agent=agent))
    assert [line[5] for line in lines(tmp_path / "log")] == ["yesterday", "today"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is full")
async def test_a_full_disk_costs_lines_is_told_once_and_breaks_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "log"
    path.symlink_to("/dev/full")
    async with open_gateway(tmp_path / "node", GatewayConfig(access_log=str(path))) as gateway:
        await gateway.put(SMALL)
        for _ in range(3):
            assert (await gateway.get(f"/ipfs/{SMALL.cid}")).body == SMALL.data
    assert "the access log cannot be written, lines are missing: [Errno 28]" in caplog.text
    async with open_access_log(str(path)) as log:
        assert log is not None
        log.write(access(agent="lost"))

        async def told() -> bool:
            return caplog.text.count("the access log cannot be written") == 2

        await eventually(told)
        path.unlink()
        log.write(access(agent="again"))
    assert [line[5] for line in lines(path)] == ["again"]


async def test_trouble_is_told_once_and_not_a_line(caplog: pytest.LogCaptureFixture) -> None:
    class Full:
        attempts = 0

        def append(self, data: bytes) -> None:
            self.attempts += 1
            raise OSError(28, "No space left on device")

        def close(self) -> None:
            pass

    disk = Full()
    log = AccessLog(disk)
    thread = threading.Thread(target=log.writing)
    thread.start()
    for number in range(1, 4):
        log.write(access())

        async def tried(number: int = number) -> bool:
            return disk.attempts == number

        await eventually(tried)
    log.close()
    thread.join()
    assert caplog.text.count("the access log cannot be written") == 1


def test_a_line_that_was_torn_does_not_spoil_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = LogFile(tmp_path / "log")
    real = os.write

    def full(descriptor: int, data: bytes) -> int:
        if len(data) < 10:
            raise OSError(28, "No space left on device")
        return real(descriptor, data[:10])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        file.append(b"a line that does not fit\n")
    monkeypatch.setattr(os, "write", real)
    file.append(b"one that does\n")
    file.close()
    assert (tmp_path / "log").read_bytes() == b"a line that does not\none that does\n"


class Stuck:
    """A disk that does not answer until it is released."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.data = b""

    def append(self, data: bytes) -> None:
        self.released.wait()
        self.data += data

    def close(self) -> None:
        pass


def test_lines_that_nobody_writes_in_time_are_dropped_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    disk = Stuck()
    log = AccessLog(disk, max_waiting=250)
    for _ in range(5):
        log.write(access())
    thread = threading.Thread(target=log.writing)
    thread.start()
    disk.released.set()
    log.close()
    thread.join()
    assert disk.data.count(b"\n") == 2
    assert "3 lines are missing" in caplog.text


async def test_a_pipe_that_nobody_reads_does_not_keep_the_node_from_ending() -> None:
    disk = Stuck()
    async with written(AccessLog(disk), close_seconds=0.1) as log:
        log.write(access())
    assert disk.data == b""
    disk.released.set()


async def test_a_file_that_cannot_be_opened_is_told_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(AccessLogUnusable, match=r"set gateway\.access_log to another file, or to - for"):
        async with open_access_log(str(tmp_path / "nowhere" / "log")):
            pass


async def test_a_dash_is_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    async with open_access_log("-") as log:
        assert log is not None
        log.write(access(agent="told"))
    assert '"told"' in capfd.readouterr().out
