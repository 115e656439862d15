"""Thousands of short histories: cutting, crashes between any two statements, full disks, partitions,
restored backups, machines put back together with their memory, logs lost while others need them.

PINFOLD_HISTORIES says how many the slow test lives through (default 500); PINFOLD_SEED, with which it begins.
A history that fails names its seed: `PINFOLD_SEED=<seed> PINFOLD_HISTORIES=1` lives through it again.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from random import SystemRandom

import pytest
from support.history import live_through, prepare

TESTS = Path(__file__).parents[2]
TRACES = "from support.history import live_through, prepare; prepare(); print(*map(live_through, range(4)))"


def live_through_all(seeds: Iterable[int]) -> None:
    prepare()
    for seed in seeds:
        try:
            live_through(seed)
        except BaseException as error:
            error.add_note(f"the history of seed {seed}: PINFOLD_SEED={seed} PINFOLD_HISTORIES=1")
            raise


def test_members_agree_and_lose_nothing_in_some_histories() -> None:
    live_through_all(range(30))


def test_a_seed_makes_one_history_in_every_process() -> None:
    one, other = _traces(hash_seed=1), _traces(hash_seed=2)
    assert one == other
    assert len({*one}) == 4


def _traces(hash_seed: int) -> list[str]:
    """As a process whose sets have that order makes them."""
    paths = os.pathsep.join((str(TESTS.parent), str(TESTS)))
    env = {**os.environ, "PYTHONHASHSEED": str(hash_seed), "PYTHONPATH": paths}
    return subprocess.run(
        [sys.executable, "-c", TRACES], env=env, check=True, capture_output=True, text=True
    ).stdout.split()


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_members_agree_and_lose_nothing_in_many_histories() -> None:
    first = int(os.environ.get("PINFOLD_SEED") or SystemRandom().randrange(1 << 32))
    count = int(os.environ.get("PINFOLD_HISTORIES") or 500)
    print(f"histories {first} to {first + count - 1}")
    live_through_all(range(first, first + count))
