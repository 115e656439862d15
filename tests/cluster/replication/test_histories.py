"""Thousands of short histories: cutting, crashes between any two statements, full disks, partitions,
restored backups, machines put back together with their memory, logs lost while others need them.

PINFOLD_HISTORIES says how many the slow test lives through (default 500); PINFOLD_SEED, with which it begins.
A history that fails names its seed: `PINFOLD_SEED=<seed> PINFOLD_HISTORIES=1` lives through it again, with
the same PYTHONHASHSEED (it orders sets): set that to 0.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from random import SystemRandom

import pytest
from support.clock import virtual_time
from support.history import EVENTS, WITH_SNAPSHOTS, History, prepare

STEPS = 18


@virtual_time
async def one_history(seed: int) -> None:
    await History(seed).live(STEPS, (EVENTS, WITH_SNAPSHOTS)[seed % 2])


def live_through(seeds: Iterable[int]) -> None:
    prepare()
    for seed in seeds:
        try:
            one_history(seed)
        except BaseException as error:
            error.add_note(f"the history of seed {seed}: PINFOLD_SEED={seed} PINFOLD_HISTORIES=1")
            raise


def test_members_agree_and_lose_nothing_in_some_histories() -> None:
    live_through(range(30))


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_members_agree_and_lose_nothing_in_many_histories() -> None:
    first = int(os.environ.get("PINFOLD_SEED") or SystemRandom().randrange(1 << 32))
    count = int(os.environ.get("PINFOLD_HISTORIES") or 500)
    print(f"histories {first} to {first + count - 1}")
    live_through(range(first, first + count))
