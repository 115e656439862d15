"""No room: the write is refused with a reason, nothing of it is pinned, and what was there stays readable."""

from __future__ import annotations

import os
from pathlib import Path

from support.command import PINFOLD, bytes_stored, daemon, pinfold, pins

MIB = 1 << 20


def big(tmp_path: Path, size: int) -> Path:
    file = tmp_path / "big.bin"
    file.write_bytes(os.urandom(size))
    return file


def test_a_quota_refuses_what_does_not_fit_and_takes_what_does(tmp_path):
    (tmp_path / "small").write_bytes(os.urandom(MIB))
    with daemon(tmp_path / "node", "--offline", PINFOLD_STORAGE_QUOTA=str(8 * MIB)) as node:
        kept = node.run("add", "-Q", str(tmp_path / "small"))
        said = pinfold("add", str(big(tmp_path, 24 * MIB)), path=node.folder)
        said.complains("storage quota reached", "of 8 MiB used", "raise the quota")
        assert pins(node) == {kept}
        assert bytes_stored(node) <= 8 * MIB
        assert pinfold("car", "export", kept, "-o", str(tmp_path / "x.car"), path=node.folder).code == 0
        assert node.run("car", "import", str(tmp_path / "x.car")) == f"pinned {kept}"


def test_a_car_beyond_the_quota_stores_nothing(tmp_path):
    with daemon(tmp_path / "source", "--offline") as source:
        cid = source.run("add", "-Q", str(big(tmp_path, 12 * MIB)))
        source.run("car", "export", cid, "-o", str(tmp_path / "x.car"))
    with daemon(tmp_path / "node", "--offline", PINFOLD_STORAGE_QUOTA=str(8 * MIB)) as node:
        pinfold("car", "import", str(tmp_path / "x.car"), path=node.folder).complains("quota")
        assert bytes_stored(node) == 0
        assert pins(node) == set()


def test_a_full_disk_is_told_and_the_node_lives_on(tmp_path):
    # No file of this daemon may grow beyond 16 MiB: to SQLite that is a disk that takes no more.
    limited = tmp_path / "limited"
    limited.write_text(f'#!/bin/sh\nulimit -f {16 * MIB // 512}\nexec "{PINFOLD}" "$@"\n')
    limited.chmod(0o755)
    (tmp_path / "small").write_text("fits")
    with daemon(tmp_path / "node", "--offline", command=str(limited)) as node:
        kept = node.run("add", "-Q", str(tmp_path / "small"))
        pinfold("add", str(big(tmp_path, 40 * MIB)), path=node.folder).complains(
            "the disk is full", "free some space"
        )
        assert pins(node) == {kept}
        assert node.run("cat", kept) == "fits"
        node.kill()
    with daemon(tmp_path / "node", "--offline") as node:
        assert pins(node) == {kept}
        assert node.run("cat", kept) == "fits"
