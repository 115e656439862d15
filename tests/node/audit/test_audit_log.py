"""The audit log: what was written is read again, newest last, within bounds, over restarts and cuts."""

import asyncio
import logging
import stat
from collections.abc import Iterator
from contextlib import ExitStack, aclosing
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Protocol

import pytest

from node.audit.audit_files import FILES, AuditUnreadable
from node.audit.audit_log import MAX_FOLLOWERS, AuditLog, FollowerBehind, TooManyFollowers
from node.audit.audit_query import AuditQuery
from node.audit.record import AuditRecord

ALL = AuditQuery()


def record(path: str = "/pins/x", **fields: object) -> AuditRecord:
    plain = AuditRecord(0.0, "api", "token", "bot", "", "127.0.0.1", "POST", path, 200)
    return replace(plain, **fields)  # type: ignore[arg-type]  # fields by name


class Opener(Protocol):
    def __call__(self, folder: Path, keep: int = 1 << 20) -> AuditLog: ...


@pytest.fixture
def opened() -> Iterator[Opener]:
    """Logs that are closed in the end."""
    with ExitStack() as stack:

        def open_(folder: Path, keep: int = 1 << 20) -> AuditLog:
            times = count(1)
            log = AuditLog(folder / "audit.log", keep, now=lambda: float(next(times)), clock=lambda: 0.0)
            stack.callback(log.close)
            return log

        yield open_


def paths(log: AuditLog, query: AuditQuery = ALL, limit: int = 1000) -> list[str]:
    return [one.path for one in log.newest(query, limit)]


def test_what_was_written_is_there_after_a_restart_and_for_its_owner_alone(
    opened: Opener, tmp_path: Path
) -> None:
    opened(tmp_path).add(record("/1", cids=("bafy",), count=1))
    log = opened(tmp_path)
    log.add(record("/2"))
    assert paths(log) == ["/1", "/2"]
    assert log.newest(ALL, 1000)[0].cids == ("bafy",)
    assert paths(log, limit=1) == ["/2"]
    assert stat.S_IMODE((tmp_path / "audit.log").stat().st_mode) == 0o600


def test_the_oldest_go_when_there_is_no_more_room(opened: Opener, tmp_path: Path) -> None:
    log = opened(tmp_path, keep=8000)
    for n in range(200):
        log.add(record(f"/{n}"))
    files = sorted(file.name for file in tmp_path.iterdir())
    assert files == ["audit.1.log", "audit.2.log", "audit.3.log", "audit.log"][-FILES:]
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 8000 + 4 * 400
    found = paths(log)
    assert found[-1] == "/199"
    assert found == [f"/{n}" for n in range(200 - len(found), 200)]
    assert len(found) > 20


def test_a_file_that_cannot_be_read_is_named(opened: Opener, tmp_path: Path) -> None:
    (tmp_path / "audit.log").mkdir()
    with pytest.raises(AuditUnreadable, match=r"cannot be read: .*audit\.log"):
        opened(tmp_path).newest(ALL, 1)


def test_a_line_that_was_cut_hides_no_other(opened: Opener, tmp_path: Path) -> None:
    opened(tmp_path).add(record("/1"))
    with (tmp_path / "audit.log").open("ab") as file:
        file.write(b'{"v":1,"time":5,"fa')
    log = opened(tmp_path)
    log.add(record("/2"))
    assert paths(log) == ["/1", "/2"]


def test_a_log_that_was_taken_away_is_begun_anew(opened: Opener, tmp_path: Path) -> None:
    log = opened(tmp_path)
    log.add(record("/1"))
    (tmp_path / "audit.log").rename(tmp_path / "mine")
    (tmp_path / "mine").unlink()
    log.add(record("/2"))
    assert paths(log) == ["/2"]


def test_each_condition_holds(opened: Opener, tmp_path: Path) -> None:
    log = opened(tmp_path)
    log.add(record("/1", name="wall", status=403))
    log.add(record("/2", owner="alice", cids=("bafy",)))
    log.add(record("/3", method="DELETE", failed=True))
    assert paths(log, AuditQuery(name="wall")) == ["/1"]
    assert paths(log, AuditQuery(owner="alice")) == ["/2"]
    assert paths(log, AuditQuery(cid="bafy")) == ["/2"]
    assert paths(log, AuditQuery(method="DELETE")) == ["/3"]
    assert paths(log, AuditQuery(refused=True)) == ["/1", "/3"]
    assert paths(log, AuditQuery(since=2.0)) == ["/2", "/3"]
    assert paths(log, AuditQuery(name="wall", method="DELETE")) == []


def test_refusals_of_strangers_push_nothing_else_out(opened: Opener, tmp_path: Path) -> None:
    log = opened(tmp_path)
    log.add(record("/mine"))
    for _ in range(5000):
        log.add(record("/guess", status=401))
    log.add(record("/after"))
    found = log.newest(ALL, 10_000)
    assert (found[0].path, found[-1].path, len(found)) == ("/mine", "/after", 102)
    assert found[-1].left_out == 4900


def test_what_callers_chose_is_cut(opened: Opener, tmp_path: Path) -> None:
    log = opened(tmp_path)
    log.add(record("/" + "x" * 30_000, name="n" * 30_000, method="M" * 30_000))
    assert (tmp_path / "audit.log").stat().st_size < 2000
    assert len(log.newest(ALL, 1)) == 1


def test_a_disk_that_refuses_is_told_once_and_stops_nothing(
    opened: Opener, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = opened(tmp_path / "gone")
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            log.add(record())
    assert [message for message in caplog.messages if "is not recorded" in message] == caplog.messages
    assert len(caplog.messages) == 1


def test_none_are_kept_where_there_is_no_room_for_them(opened: Opener, tmp_path: Path) -> None:
    opened(tmp_path, keep=0).add(record())
    assert list(tmp_path.iterdir()) == []


async def test_who_follows_hears_of_each_once(opened: Opener, tmp_path: Path) -> None:
    log = opened(tmp_path)
    log.add(record("/1"))
    log.add(record("/2"))
    with log.following(AuditQuery(method="POST"), 1) as records:
        async with aclosing(records):
            assert (await anext(records)).path == "/2"
            log.add(record("/3", method="DELETE"))
            log.add(record("/4"))
            assert (await anext(records)).path == "/4"


async def test_who_follows_too_slowly_is_told(opened: Opener, tmp_path: Path) -> None:
    log = opened(tmp_path)
    with log.following(ALL, 0) as records:
        async with aclosing(records):
            waiting = asyncio.ensure_future(anext(records))
            while not waiting.done():
                log.add(record())
                await asyncio.sleep(0)
            for _ in range(1500):
                log.add(record())
            with pytest.raises(FollowerBehind):  # noqa: PT012 - which record it comes behind is not promised
                while True:
                    await anext(records)


def test_so_many_follow_and_no_more(opened: Opener, tmp_path: Path) -> None:
    log = opened(tmp_path)
    open_ = [log.following(ALL, 0) for _ in range(MAX_FOLLOWERS)]
    for one in open_:
        one.__enter__()
    with pytest.raises(TooManyFollowers), log.following(ALL, 0):
        pass
    open_[0].__exit__(None, None, None)
    with log.following(ALL, 0):
        pass


async def test_who_follows_is_let_go_when_the_node_ends_after_what_came(
    opened: Opener, tmp_path: Path
) -> None:
    log = opened(tmp_path)
    with log.following(ALL, 10) as told:
        async with aclosing(told):
            log.add(record("/1"))
            log.end_followers()
            assert [one.path async for one in told] == ["/1"]
