"""Five real members under kill -9, SIGSTOP and restarts: nothing promised is lost, and soon all agree."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.command import pins, until
from support.member_faults import MemberProcess, members, mishaps, suffer
from support.pin_writer import PinWriter, Promises

MEMBERS = 5
SOON = 5.0  # seconds from when all are back until all list the same, with a core for each member or nearly so
SURELY = 60.0  # where five starting daemons share two cores with other work


def seconds_until_all_agree(found: Sequence[MemberProcess], since: float) -> float:
    def agreed() -> bool:
        first, *others = [pins(member.node) for member in found]
        return all(other == first for other in others)

    until("all list the same", agreed)
    return time.monotonic() - since


def trial(folder: Path, seed: int, count: int) -> tuple[float, list[Promises]]:
    """Seconds until all listed the same, and what the clients were promised."""
    with members(folder, MEMBERS) as found:
        nodes = [member.node for member in found]
        with ExitStack() as stack:
            promises = [
                stack.enter_context(PinWriter(nodes, name, seed).writing()) for name in ("one", "two")
            ]
            back = suffer(found, mishaps(seed, MEMBERS, count))
        seconds = seconds_until_all_agree(found, back)
        listed = pins(nodes[0])
        assert [one.broken(listed) for one in promises] == [{}, {}]
        print(f"seed {seed}: the same after {seconds:.2f} s, {len(listed)} pins")
    return seconds, promises


@pytest.mark.timeout(300)
def test_nothing_promised_is_lost_and_all_soon_agree(tmp_path: Path) -> None:
    seconds, promises = trial(tmp_path, seed=1, count=6)
    assert sum(len(one.pinned) + len(one.unpinned) for one in promises) > 50
    assert seconds < SURELY


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(2, 8))
def test_the_same_under_many_faults(tmp_path: Path, seed: int) -> None:
    seconds, _ = trial(tmp_path, seed=seed, count=30)
    assert seconds < SOON
