"""A file is written whole or stays as it was, and nothing but a plain file is ever replaced."""

from __future__ import annotations

import os
import resource
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.files.atomic_write import atomic_write, replacing

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root may do this")


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_file_is_its_owners_alone_unless_another_mode_is_asked_for(tmp_path: Path) -> None:
    atomic_write(tmp_path / "a", b"1")
    atomic_write(tmp_path / "b", b"2", mode=0o644)
    assert ((tmp_path / "a").read_bytes(), mode_of(tmp_path / "a"), mode_of(tmp_path / "b")) == (
        b"1",
        0o600,
        0o644,
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_permissions_stay_as_they_were(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"longer than what comes")
    (tmp_path / "a").chmod(0o640)
    atomic_write(tmp_path / "a", b"new")
    assert ((tmp_path / "a").read_bytes(), mode_of(tmp_path / "a")) == (b"new", 0o640)


@AS_ROOT
def test_the_owner_stays_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    os.chown(tmp_path / "a", 1234, 5678)
    atomic_write(tmp_path / "a", b"new")
    status = (tmp_path / "a").stat()
    assert (status.st_uid, status.st_gid, (tmp_path / "a").read_bytes()) == (1234, 5678, b"new")


def test_symlinks_are_followed_and_stay(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to("second")
    (tmp_path / "second").symlink_to(tmp_path / "elsewhere" / "target")
    for data in (b"made", b"replaced"):
        atomic_write(tmp_path / "link", data)
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "elsewhere" / "target").read_bytes() == data
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["target"]
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OSError, match="loop"):
        atomic_write(tmp_path / "loop", b"x")


def test_a_device_and_a_pipe_are_written_into(tmp_path: Path) -> None:
    (tmp_path / "null").symlink_to(os.devnull)
    atomic_write(tmp_path / "null", b"gone")
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)
    os.mkfifo(tmp_path / "pipe")
    heard: list[bytes] = []
    reader = threading.Thread(target=lambda: heard.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    atomic_write(tmp_path / "pipe", b"through", durable=False)
    reader.join()
    assert heard == [b"through"]
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


@AS_ROOT
def test_a_device_of_ones_own_is_not_replaced(tmp_path: Path) -> None:
    os.mknod(tmp_path / "zero", 0o666 | stat.S_IFCHR, os.makedev(1, 5))
    with replacing(tmp_path / "zero") as file:
        file.write(b"into it")
    assert stat.S_ISCHR((tmp_path / "zero").stat().st_mode)


def test_a_descriptor_is_written_to_where_it_stands(tmp_path: Path) -> None:
    """As in `(echo a; pinfold ... -o /dev/stdout; echo b) > out`: nothing before or behind is lost."""
    for spelling in ("/dev/fd/{}", "/proc/self/fd/{}"):
        with (tmp_path / "out").open("wb", buffering=0) as out:
            out.write(b"before ")
            atomic_write(Path(spelling.format(out.fileno())), b"here ", durable=False)
            out.write(b"behind")
        assert (tmp_path / "out").read_bytes() == b"before here behind"
    ours, theirs = socket.socketpair()
    with ours, theirs:
        atomic_write(Path(f"/dev/fd/{ours.fileno()}"), b"a socket", durable=False)
        assert theirs.recv(100) == b"a socket"


def test_a_folder_and_a_missing_folder_are_errors_that_name_the_path(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match=str(tmp_path)):
        atomic_write(tmp_path, b"x")
    with pytest.raises(FileNotFoundError, match="none"):
        atomic_write(tmp_path / "none" / "a", b"x")
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(tmp_path / "s"))
        with pytest.raises(OSError, match="/s"):
            atomic_write(tmp_path / "s", b"x")
        assert stat.S_ISSOCK((tmp_path / "s").stat().st_mode)


def test_names_of_any_length_and_bytes_can_be_written(tmp_path: Path) -> None:
    for name in (b"x" * 255, b"caf\xe9", b"-", b"a\nb"):
        path = tmp_path / os.fsdecode(name)
        atomic_write(path, b"1")
        atomic_write(path, b"2")
        assert path.read_bytes() == b"2"


def half_written(path: Path, error: BaseException) -> None:
    with replacing(path) as file:
        file.write(bytes(100_000))
        raise error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("no")])
def test_what_fails_in_the_middle_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, error: BaseException
) -> None:
    (tmp_path / "a").write_bytes(b"old")
    for name in ("a", "b"):
        with pytest.raises(type(error)):
            half_written(tmp_path / name, error)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", b"old")]


def test_a_full_disk_leaves_the_old_file_and_names_it(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(OSError, match=r"File too large.*/a"):
            atomic_write(tmp_path / "a", bytes(200_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", b"old")]


UNPRIVILEGED = """
import os, sys
from pathlib import Path
from node.files.atomic_write import atomic_write  # before: what is installed may be root's alone
os.setgroups([]); os.setgid(12345); os.setuid(12345)
try:
    atomic_write(Path(sys.argv[1]), b"new", durable=True)
except OSError as error:
    print(type(error).__name__)
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """One that every user may enter; other runs of pytest take that back from those above tmp_path."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@AS_ROOT
@pytest.mark.parametrize(
    ("folder_mode", "file_mode", "said", "left"),
    [(0o755, 0o666, "", b"new"), (0o777, 0o666, "", b"new"), (0o777, 0o444, "PermissionError", b"old")],
    ids=["folder of another", "file of another", "read-only"],
)
def test_another_users_file_keeps_its_owner_and_a_read_only_one_its_bytes(
    open_folder: Path, folder_mode: int, file_mode: int, said: str, left: bytes
) -> None:
    folder = open_folder / "theirs"
    folder.mkdir()
    file = folder / "a"
    file.write_bytes(b"old")
    folder.chmod(folder_mode)
    file.chmod(file_mode)
    done = subprocess.run(
        [sys.executable, "-c", UNPRIVILEGED, str(file)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    assert (done.stdout.strip(), done.stderr) == (said, "")
    assert (file.read_bytes(), file.stat().st_uid, mode_of(file)) == (left, 0, file_mode)
    assert [path.name for path in folder.iterdir()] == ["a"]
