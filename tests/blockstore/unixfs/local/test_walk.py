from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from blockstore.errors import BadEntry, UnreadableFile
from blockstore.unixfs.importing.entries import Entry, LocalFile, SourceDirectory, SourceFile, SourceSymlink
from blockstore.unixfs.local.ignore import NO_RULES, IgnoreRules
from blockstore.unixfs.local.walk import WalkRules, walk_local


async def walked(
    *paths: Path | str,
    recursive: bool = True,
    hidden: bool = False,
    dereference: bool = False,
    ignore: IgnoreRules = NO_RULES,
) -> list[Entry]:
    wanted = WalkRules(recursive=recursive, hidden=hidden, dereference=dereference, ignore=ignore)
    return [entry async for entry in walk_local([str(path) for path in paths], wanted)]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "sub" / ".git").mkdir(parents=True)
    for name in ("b", "a.txt", ".hidden", "sub/z", "sub/.git/config"):
        (root / name).write_text(name)
    (root / "link").symlink_to("sub/z")
    return root


async def test_folders_come_before_what_is_in_them_in_byte_order(tree: Path) -> None:
    entries = await walked(tree)
    assert [entry.path for entry in entries] == [
        "root",
        "root/a.txt",
        "root/b",
        "root/link",
        "root/sub",
        "root/sub/z",
    ]
    assert isinstance(entries[0], SourceDirectory)
    assert isinstance(entries[3], SourceSymlink)
    assert entries[3].target == "sub/z"
    file = entries[1]
    assert isinstance(file, SourceFile)
    assert file.body == LocalFile(str(tree / "a.txt"), 5)


async def test_hidden_files_come_only_when_asked_for(tree: Path) -> None:
    entries = await walked(tree, hidden=True)
    assert "root/sub/.git/config" in [entry.path for entry in entries]
    assert [entry.path for entry in await walked(tree / ".hidden")] == [".hidden"]


async def test_patterns_leave_files_and_folders_out(tree: Path) -> None:
    entries = await walked(tree, ignore=IgnoreRules.of_patterns(("*.txt", "sub/")))
    assert [entry.path for entry in entries] == ["root", "root/b", "root/link"]


async def test_symlinks_can_be_followed(tree: Path) -> None:
    entries = {entry.path: entry for entry in await walked(tree, dereference=True)}
    assert isinstance(entries["root/link"], SourceFile)
    (tree / "loop").symlink_to(tree)
    with pytest.raises(BadEntry, match="loop"):
        await walked(tree, dereference=True)
    assert await walked(tree)


async def test_modes_and_times_are_those_of_the_entry(tree: Path) -> None:
    os.chmod(tree / "b", 0o4751)
    os.utime(tree / "b", ns=(0, -1_500_000_000))
    (entry,) = await walked(tree / "b")
    assert isinstance(entry, SourceFile)
    assert (entry.mode, entry.mtime) == (0o4751, (-2, 500_000_000))


async def test_a_folder_needs_the_recursive_flag(tree: Path) -> None:
    with pytest.raises(BadEntry, match="use the '-r' flag"):
        await walked(tree, recursive=False)


async def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match="No such file"):
        await walked(tmp_path / "missing")


async def test_a_folder_that_vanishes_during_the_walk_is_named(tree: Path) -> None:
    entries = walk_local([str(tree)], WalkRules(recursive=True))
    async for entry in entries:
        if entry.path == "root/b":
            os.rename(tree / "sub", tree / "elsewhere")
            break
    with pytest.raises(UnreadableFile, match="sub"):
        [entry async for entry in entries]


async def test_sockets_and_pipes_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BadEntry, match="pipe"):
        await walked(tmp_path)
    (tmp_path / "pipe").unlink()
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(tmp_path / "s"))
        with pytest.raises(BadEntry, match="neither a file"):
            await walked(tmp_path / "s")


async def test_several_paths_go_by_their_last_names(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree)
    assert [entry.path for entry in await walked("b", "sub/", "./a.txt", "b")] == [
        "a.txt",
        "b",
        "sub",
        "sub/z",
    ]
    assert (await walked("."))[0].path == "root"
    assert (await walked("sub/.."))[0].path == "root"
    (tree / "sub" / "b").write_text("other")
    with pytest.raises(BadEntry, match="one by one"):
        await walked("b", "sub/b")


async def test_names_that_are_not_utf8_are_kept(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / os.fsdecode(b"\xff\xfe")).write_text("x")
    assert os.fsencode((await walked(root))[1].path) == b"root/\xff\xfe"


async def test_an_empty_path_is_not_the_working_directory(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shell gives it for a variable that is not set."""
    monkeypatch.chdir(tree)
    with pytest.raises(UnreadableFile, match="No such file"):
        await walked("")
