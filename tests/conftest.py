"""Shared by all tests: nothing but what every test must have."""

import gc
import os
import shutil
import signal
from pathlib import Path

from hypothesis import HealthCheck, settings

_MEMORY = Path("/dev/shm")  # a file system in memory, where Linux has one
_ROOM = 2 << 30  # bytes, several times what the tests have there at once

# A shell has its background jobs ignore Ctrl-C, and each process that the tests begin would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Nodes sync what they write, and on a disk the tests would wait for that longer than for all the rest.
if os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _ROOM:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_MEMORY))

# The same examples in every run, and no bound on the time of one: what is red is red again, on any machine.
# `make test-all` searches, with other examples in each run.
settings.register_profile("search", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("repeat", settings.get_profile("search"), derandomize=True)
settings.load_profile("repeat")


def pytest_collection_finish() -> None:
    """What was collected stays until the end: the garbage collector need not look through it each time."""
    gc.collect()
    gc.freeze()
