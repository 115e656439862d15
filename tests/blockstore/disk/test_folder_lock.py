from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from blockstore.disk.folder_lock import hold_lock
from blockstore.errors import StoreLocked, StoreUnavailable

HOLD = "import sys; from pathlib import Path; from blockstore.disk.folder_lock import hold_lock\n"
HOLD += "with hold_lock(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"


def test_a_second_holder_is_told_who_holds_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    told = pytest.raises(StoreLocked, match=rf"{tmp_path} is in use .*pid {os.getpid()}")
    with hold_lock(path), told, hold_lock(path):
        raise AssertionError("held twice")
    with hold_lock(path):
        assert path.read_text() == f"{os.getpid()}\n"


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    lock = tmp_path / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(lock)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=pytestconfig.rootpath,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(StoreLocked, match=f"pid {holder.pid}"), hold_lock(lock):
            raise AssertionError("held twice")
        holder.kill()
        holder.wait()
    with hold_lock(lock):
        assert lock.read_text() == f"{os.getpid()}\n"


def test_a_stale_file_is_no_lock(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("1234567890123\n")
    with hold_lock(tmp_path / "lock"):
        assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"


def test_a_missing_folder_says_so(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "lock"
    with pytest.raises(StoreUnavailable, match="nowhere: No such file"), hold_lock(path):
        raise AssertionError("held")
