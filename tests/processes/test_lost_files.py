"""A file of the data folder is lost, or put back from an older copy: no pin is lost to that."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from nodes import NodeProcess
from support.command import daemon, here, log, pins, until


def added(node: NodeProcess, tmp_path: Path, names: str) -> list[str]:
    for name in names:
        (tmp_path / name).write_bytes(os.urandom(600_000))
    return [done(node, "add", "-Q", str(tmp_path / name)).strip() for name in names]


def done(node: NodeProcess, *arguments: str) -> str:
    said = here(*arguments, path=node.folder)
    assert said.code == 0, said
    return said.out


def copy(folder: Path, to: Path, name: str) -> None:
    for file in folder.glob(f"{name}*"):
        shutil.copy(file, to / file.name)


def lose(folder: Path, name: str) -> None:
    for file in folder.glob(f"{name}*"):
        file.unlink()


def emptied(folder: Path, _: Path) -> None:
    lose(folder, "cluster.db")
    (folder / "cluster.db").touch()


def older(folder: Path, backup: Path) -> None:
    lose(folder, "cluster.db")
    copy(backup, folder, "cluster.db")


@pytest.mark.parametrize(("damage", "listed"), [(emptied, 0), (older, 1)])
def test_pins_whose_list_is_gone_stay_and_are_told(
    tmp_path: Path, damage: Callable[[Path, Path], None], listed: int
) -> None:
    folder, backup = tmp_path / "node", tmp_path / "backup"
    backup.mkdir()
    with daemon(folder, "--offline", PINFOLD_CLUSTER_RECONCILE_INTERVAL="1") as node:
        first = added(node, tmp_path, "ab")
        done(node, "pin", "rm", first.pop())
        node.stop()
        copy(folder, backup, "cluster.db")
        node.start("--offline")
        later = added(node, tmp_path, "cd")
        node.stop()
    damage(folder, backup)
    with daemon(folder, "--offline", PINFOLD_CLUSTER_RECONCILE_INTERVAL="1") as node:
        kept = [*first, *later]
        assert pins(node) == set(first[:listed])
        told = f"{len(kept) - listed} pins are kept that nobody removed"
        until("it is told", lambda: told in log(node))
        done(node, "gc")
        for cid in kept:
            done(node, "get", cid, "-o", str(tmp_path / cid))
        done(node, "pin", "add", kept[-1])
        done(node, "pin", "rm", kept[-2])
        assert pins(node) == {*first[:listed], kept[-1]}
        done(node, "gc")
        assert here("cat", kept[-2], path=folder).code == 1
        for cid in kept[:-2] + kept[-1:]:
            done(node, "get", cid, "-o", str(tmp_path / "again" / cid))
