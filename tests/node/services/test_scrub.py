"""Scrubbing: when it begins, where it goes on, what it tells, and how much of the time it takes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from support.dags import leaves

from blockstore.cid import CID
from blockstore.common.guard import Guard
from blockstore.common.tasks import background
from blockstore.sqlite.open_store import open_sqlite_blockstore
from blockstore.sqlite.store import SqliteBlockstore
from blockstore.upkeep import Place, Verified
from node.services.scrub import DAY, Scrub

NOW = 1_800_000_000.0


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteBlockstore]:
    async with open_sqlite_blockstore(tmp_path / "blocks.db") as opened:
        await opened.put_many(leaves(50, size=500_000))
        yield opened


def scrub(store: SqliteBlockstore, folder: Path, now: float = NOW, draw: float = 0.5) -> Scrub:
    return Scrub(store, folder / "scrub.json", 1.0, Guard(), now=lambda: now, draw=lambda: draw)


@pytest.mark.parametrize(("draw", "days"), [(0.0, 25), (0.5, 30), (1.0, 35)])
async def test_a_pass_is_due_after_25_to_35_days_at_random(
    store: SqliteBlockstore, tmp_path: Path, draw: float, days: int
) -> None:
    new = scrub(store, tmp_path, draw=draw)
    assert new.state.due == NOW + days * DAY
    assert not new.state.is_running


async def test_a_pass_goes_over_everything_and_says_when_the_next_is_due(
    store: SqliteBlockstore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    due = scrub(store, tmp_path).state.due
    (tmp_path / "scrub.json").write_text(json.dumps({"version": 1, "due": due}))
    running = scrub(store, tmp_path, now=due)
    while running.state.ended == 0:
        await running.turn()
    assert (running.state.blocks, running.state.bytes, running.state.damaged) == (50, 25_000_000, 0)
    assert running.state.due == due + 30 * DAY
    assert "scrubbing has ended: 50 blocks are sound" in caplog.text
    assert scrub(store, tmp_path, now=due).state == running.state


async def test_its_place_is_remembered_over_restarts(
    store: SqliteBlockstore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.services.scrub._SAVE_SECONDS", 0.0)  # white box: it would take half a minute
    (tmp_path / "scrub.json").write_text(json.dumps({"version": 1, "due": 0}))
    first = scrub(store, tmp_path)
    await first.turn()
    count = first.state.blocks
    assert 0 < count < 50
    second = scrub(store, tmp_path)
    assert second.state == first.state
    while second.state.is_running:
        await second.turn()
    assert second.state.blocks == 50


async def test_a_node_that_is_started_every_day_scrubs_every_month(
    store: SqliteBlockstore, tmp_path: Path
) -> None:
    due = set()
    for day in range(5):
        daily = scrub(store, tmp_path, now=NOW + day * DAY)
        async with background(daily.run()):
            while not (tmp_path / "scrub.json").exists():  # noqa: ASYNC110 - all there is to see
                await asyncio.sleep(0.01)
        due.add(daily.state.due)
    assert due == {NOW + 30 * DAY}


async def test_a_clock_that_was_years_ahead_puts_nothing_off(store: SqliteBlockstore, tmp_path: Path) -> None:
    (tmp_path / "scrub.json").write_text(json.dumps({"version": 1, "due": NOW + 5000 * DAY}))
    assert scrub(store, tmp_path).state.due == NOW + 35 * DAY


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", "[" * 100_000, '{"version": 2, "due": 0}', '{"version": 1, "due": 0, "place": "x"}'],
)
async def test_a_file_that_cannot_be_read_begins_the_month_anew(
    store: SqliteBlockstore, tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "scrub.json").write_text(text)
    assert scrub(store, tmp_path).state.due == NOW + 30 * DAY
    assert "cannot be read" in caplog.text


async def test_a_share_of_nothing_never_begins(store: SqliteBlockstore, tmp_path: Path) -> None:
    (tmp_path / "scrub.json").write_text(json.dumps({"version": 1, "due": 0}))
    never = Scrub(store, tmp_path / "scrub.json", 0.0, Guard())
    await never.run()
    assert never.state.begun == 0


class Pacing:
    """A store whose steps take a time, on a clock of their own."""

    def __init__(self) -> None:
        self.steps = 0

    async def verify(self, cids: Sequence[CID]) -> Verified:
        return Verified()

    async def until_damaged(self) -> None:
        """Never: nothing waits here."""

    async def verify_behind(self, place: Place) -> Verified:
        self.steps += 1
        await asyncio.sleep(0.02)
        return Verified(blocks=1, bytes=1, place=b"on")


async def test_it_takes_its_share_of_the_time(store: SqliteBlockstore, tmp_path: Path) -> None:
    (tmp_path / "scrub.json").write_text(json.dumps({"version": 1, "due": 0}))
    pacing = Pacing()
    slow = Scrub(pacing, tmp_path / "scrub.json", 0.1, Guard())
    loop = asyncio.get_running_loop()
    began = loop.time()
    for _ in range(3):
        await slow.turn()
    assert loop.time() - began >= 3 * 0.4
