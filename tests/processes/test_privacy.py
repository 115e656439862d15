"""What lies in the data folder is its owner's alone, also where the folder was there before and open."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from support.command import daemon


@pytest.fixture
def open_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "node"
    (folder / "denylists").mkdir(parents=True)
    (folder / "denylists" / "x.deny").write_text("")
    (folder / "config.toml").write_text("")
    (folder / "peers.json").write_text("{}")
    (folder / "notes").write_text("no file of ours")
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return folder


def open_to_others(folder: Path) -> list[str]:
    return sorted(
        path.name for path in (folder, *folder.rglob("*")) if stat.S_IMODE(path.lstat().st_mode) & 0o077
    )


def test_a_folder_that_was_open_is_closed_with_all_that_is_in_it(open_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("content")
    old = os.umask(0o022)
    try:
        with daemon(open_folder) as node:
            node.run("add", str(tmp_path / "file"))
            assert stat.S_IMODE(open_folder.stat().st_mode) == 0o700
            names = {path.name for path in open_folder.iterdir()}
            assert {"blocks.db-wal", "blocks.db-shm", "addresses.json", "api.secret"} <= names
            assert open_to_others(open_folder) == ["notes"]
            for path in open_folder.glob("*.db*"):
                path.chmod(0o644)
            open_folder.chmod(0o755)
            assert node.stop() == 0
            node.start()
            assert open_to_others(open_folder) == ["notes"]
    finally:
        os.umask(old)


def test_what_a_link_leads_to_keeps_its_permissions(tmp_path: Path) -> None:
    elsewhere = tmp_path / "shared.toml"
    elsewhere.write_text("")
    elsewhere.chmod(0o644)
    folder = tmp_path / "node"
    folder.mkdir()
    with daemon(folder, "--offline") as node:
        node.stop()
        (folder / "config.toml").unlink()
        (folder / "config.toml").symlink_to(elsewhere)
        node.start("--offline")
        assert stat.S_IMODE(elsewhere.stat().st_mode) == 0o644
