"""`-o` in every form: devices and pipes are written into, files are replaced whole and when asked to only."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from nodes import NodeProcess
from support.command import PINFOLD, beginning, daemon, ended, here, pinfold

GET, EXPORT = ("get",), ("car", "export")
BOTH = pytest.mark.parametrize("verb", [GET, EXPORT], ids=" ".join)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    with daemon(tmp_path_factory.mktemp("written") / "alone", "--offline") as running:
        yield running


@pytest.fixture(scope="module")
def cid(node: NodeProcess, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("content")
    (folder / "a").write_text("content")
    return node.run("add", "-Q", str(folder / "a"))


def of(node: NodeProcess) -> dict[str, str]:
    return {**os.environ, "PINFOLD_PATH": str(node.folder)}


@BOTH
def test_a_device_stays_one(node: NodeProcess, cid: str, tmp_path: Path, verb: tuple[str, ...]) -> None:
    (tmp_path / "null").symlink_to("/dev/null")
    for target in ("/dev/null", str(tmp_path / "null")):
        said = here(*verb, cid, "-o", target, path=node.folder)
        assert (said.code, said.out, said.err) == (0, "", ""), said
        assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    assert (tmp_path / "null").is_symlink()
    here(*verb, cid, "-o", "/dev/full", path=node.folder).complains("/dev/full: No space left")


@BOTH
def test_standard_output_gets_the_bytes_alone(
    node: NodeProcess, cid: str, tmp_path: Path, verb: tuple[str, ...]
) -> None:
    environment = of(node)
    for target in ("/dev/stdout", "-", "/proc/self/fd/1"):
        with (tmp_path / "out").open("wb", buffering=0) as out:
            out.write(b"before")
            subprocess.run([PINFOLD, *verb, cid, "-o", target], env=environment, stdout=out, check=True)
            out.write(b"behind")
        data = (tmp_path / "out").read_bytes()
        assert data.startswith(b"before")
        assert data.endswith(b"contentbehind")
        assert b"saved" not in data
    piped = subprocess.run(
        [PINFOLD, *verb, cid, "-o", "/dev/stdout"], env=environment, capture_output=True, check=True
    )
    assert piped.stdout.endswith(b"content")


@BOTH
def test_a_pipe_gets_the_bytes(node: NodeProcess, cid: str, tmp_path: Path, verb: tuple[str, ...]) -> None:
    os.mkfifo(tmp_path / "pipe")
    process = beginning(*verb, cid, "-o", str(tmp_path / "pipe"), path=node.folder)
    assert (tmp_path / "pipe").read_bytes().endswith(b"content")
    assert ended(process).code == 0
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


@BOTH
def test_a_file_is_replaced_when_asked_for_and_keeps_its_mode(
    node: NodeProcess, cid: str, tmp_path: Path, verb: tuple[str, ...]
) -> None:
    (tmp_path / "there").write_text("older, and longer than what is to come " * 10)
    (tmp_path / "there").chmod(0o640)
    (tmp_path / "link").symlink_to("there")
    for target in (tmp_path / "there", tmp_path / "link"):
        here(*verb, cid, "-o", str(target), path=node.folder).complains(f"{target} exists", "--force")
        assert (tmp_path / "there").read_text().startswith("older")
    for target in (tmp_path / "link", tmp_path / "there"):
        said = here(*verb, cid, "-o", str(target), "--force", path=node.folder)
        assert said.out == f"saved {target}\n"
        assert (tmp_path / "there").read_bytes().endswith(b"content")
        assert stat.S_IMODE((tmp_path / "there").stat().st_mode) == 0o640
    assert (tmp_path / "link").is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "there"]


@BOTH
def test_a_symlink_that_leads_nowhere_yet_is_followed(
    node: NodeProcess, cid: str, tmp_path: Path, verb: tuple[str, ...]
) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    assert here(*verb, cid, "-o", str(tmp_path / "link"), path=node.folder).code == 0
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes().endswith(b"content")


@BOTH
def test_what_fails_leaves_the_older_file(node: NodeProcess, tmp_path: Path, verb: tuple[str, ...]) -> None:
    (tmp_path / "big").write_bytes(bytes(300_000))
    big = node.run("add", "-Q", str(tmp_path / "big"))
    out = tmp_path / "out"
    out.mkdir()
    (out / "x").write_text("older")
    process = beginning(*verb, big, "--force", "-o", str(out / "x"), path=node.folder, limits="ulimit -f 8")
    ended(process).complains(f"{out}/x: File too large")
    assert [(path.name, path.read_text()) for path in out.iterdir()] == [("x", "older")]


def test_a_folder_is_not_written_into_a_device_nor_over_a_file(node: NodeProcess, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "a").write_text("a")
    (tmp_path / "x").write_text("older")
    cid = node.run("add", "-rQ", str(tmp_path / "d"))
    for target in ("/dev/null", str(tmp_path / "x")):
        here("get", cid, "--force", "-o", target, path=node.folder).complains("this is no file", target)
    assert (tmp_path / "x").read_text() == "older"
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_several_are_saved_into_one_folder(node: NodeProcess, cid: str, tmp_path: Path) -> None:
    (tmp_path / "b").write_text("second")
    other = node.run("add", "-Q", str(tmp_path / "b"))
    out = tmp_path / "out"
    here("get", cid, other, "-o", str(out), path=node.folder).complains(f"{out} is not a folder")
    out.mkdir()
    assert here("get", cid, other, "-o", str(out), path=node.folder).code == 0
    assert {path.name: path.read_text() for path in out.iterdir()} == {cid: "content", other: "second"}


def test_a_setting_is_written_through_a_symlink_with_line_ends_and_mark_kept(tmp_path: Path) -> None:
    here("init", path=tmp_path / "node")
    config = tmp_path / "node" / "config.toml"
    real = tmp_path / "real.toml"
    real.write_bytes(b"\xef\xbb\xbf# why\r\n[gateway]\r\nport = 18999\r\n")
    real.chmod(0o640)
    config.unlink()
    config.symlink_to(real)
    assert here("config", "get", "gateway.port", path=tmp_path / "node").out == "18999\n"
    assert here("config", "set", "gateway.port", "1", path=tmp_path / "node").code == 0
    assert config.is_symlink()
    assert real.read_bytes() == b"\xef\xbb\xbf# why\r\n[gateway]\r\nport = 1\r\n"
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    real.write_bytes("[gateway]\n".encode("utf-16"))
    here("config", "show", path=tmp_path / "node").complains("config.toml", "UTF-16", "UTF-8")
    real.write_bytes(b"[gateway]\n# caf\xe9\n")
    here("config", "set", "gateway.port", "2", path=tmp_path / "node").complains("line 2", "0xE9")


def test_pipes_that_are_named_are_added(node: NodeProcess, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/stdin")
    ways = (
        'echo through > pipe & "$0" add -Q pipe; wait',
        'echo through > pipe & "$0" add -q pipe; wait',
        'echo through | "$0" add -Q /dev/stdin',
        'echo through | "$0" add -nQ /dev/stdin',
        'echo through | "$0" add -Q link',
        '"$0" add -Q <(echo through)',
        '"$0" add -Q /dev/fd/7 7< <(echo through)',
        'echo through > file; "$0" add -Q /dev/stdin < file',
    )
    done = subprocess.run(
        ["bash", "-ec", "\n".join(ways), PINFOLD], env=of(node), capture_output=True,
        text=True, timeout=60, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done
    (cid,) = set(done.stdout.splitlines())
    assert len(done.stdout.splitlines()) == len(ways)
    assert node.run("cat", cid) == "through"


def test_devices_sockets_and_pipes_inside_folders_are_refused(node: NodeProcess, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    os.mkfifo(tmp_path / "d" / "pipe")
    here("add", "-r", str(tmp_path / "d"), path=node.folder).complains("d/pipe", "neither a file")
    here("add", "/dev/zero", path=node.folder).complains("/dev/zero", "neither a file")


@pytest.mark.parametrize(("mode", "want"), [("600", 0o600), ("0600", 0o600), ("4755", 0o755)])
def test_a_mode_is_octal(node: NodeProcess, tmp_path: Path, mode: str, want: int) -> None:
    said = pinfold("add", "-Q", "--mode", mode, path=node.folder, stdin=b"mode")
    assert here("get", said.out.strip(), "-o", str(tmp_path / "x"), path=node.folder).code == 0
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == want


def test_archives_without_roots_and_empty_files_say_so(node: NodeProcess, cid: str, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.write_bytes(b"")
    here("car", "import", str(empty), path=node.folder).complains(str(empty), "CAR is empty")
    here("car", "import", str(tmp_path), path=node.folder).complains("is a folder")
    here("name", "put", "k51", str(empty), path=node.folder).complains(f"{empty} is empty")
    pinfold("name", "put", "k51", "-", path=node.folder).complains("- is empty")
    rootless = tmp_path / "rootless.car"
    rootless.write_bytes(bytes([17]) + b"\xa2eroots\x80gversion\x01")
    said = here("car", "import", str(rootless), path=node.folder)
    assert (said.code, said.err) == (0, f"{rootless} has no roots: its 0 blocks are stored\n"), said
    exported = subprocess.run(
        [PINFOLD, "car", "export", cid],
        env=of(node),
        capture_output=True,
        check=True,
    )
    assert pinfold("car", "import", "-", path=node.folder, stdin=exported.stdout).out == f"pinned {cid}\n"
