"""No room: the write is refused with a reason, nothing of it is pinned, and what was there stays readable."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from urllib.request import urlopen

from support.command import PINFOLD, SECONDS, beginning, bytes_stored, daemon, log, pinfold, pins, until
from support.disk import fill, free, small_disk

MIB = 1 << 20


def big(tmp_path: Path, size: int) -> Path:
    file = tmp_path / "big.bin"
    file.write_bytes(os.urandom(size))
    return file


def test_a_quota_refuses_what_does_not_fit_and_takes_what_does(tmp_path: Path) -> None:
    (tmp_path / "small").write_bytes(os.urandom(MIB))
    with daemon(tmp_path / "node", "--offline", PINFOLD_STORAGE_QUOTA=str(8 * MIB)) as node:
        kept = node.run("add", "-Q", str(tmp_path / "small"))
        said = pinfold("add", str(big(tmp_path, 24 * MIB)), path=node.folder)
        said.complains("storage quota reached", "of 8 MiB used", "raise the quota")
        assert pins(node) == {kept}
        assert bytes_stored(node) < 2 * MIB  # it was refused before the first of it was stored
        node.run("add", "-Q", str(tmp_path / "small"))
        assert pinfold("car", "export", kept, "-o", str(tmp_path / "x.car"), path=node.folder).code == 0
        assert node.run("car", "import", str(tmp_path / "x.car")) == f"pinned {kept}"


def test_a_car_beyond_the_quota_stores_nothing(tmp_path: Path) -> None:
    with daemon(tmp_path / "source", "--offline") as source:
        cid = source.run("add", "-Q", str(big(tmp_path, 12 * MIB)))
        source.run("car", "export", cid, "-o", str(tmp_path / "x.car"))
    with daemon(tmp_path / "node", "--offline", PINFOLD_STORAGE_QUOTA=str(8 * MIB)) as node:
        pinfold("car", "import", str(tmp_path / "x.car"), path=node.folder).complains("quota")
        assert bytes_stored(node) == 0
        assert pins(node) == set()


def test_a_full_disk_is_told_and_the_node_lives_on(tmp_path: Path) -> None:
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


def test_on_a_disk_that_another_program_filled_it_starts_reads_unpins_and_collects(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 80) as disk:
        content = big(tmp_path, 20 * MIB)
        before = hashlib.sha256(content.read_bytes()).digest()
        with daemon(disk / "node", "--offline", PINFOLD_STORAGE_RESERVE=str(4 * MIB)) as node:
            large = node.run("add", "-Q", str(content))
            fill(disk)
        fill(disk)
        with daemon(disk / "node", "--offline", PINFOLD_STORAGE_RESERVE=str(4 * MIB)) as node:
            fill(disk)
            content.write_bytes(os.urandom(20 * MIB))
            pinfold("add", str(content), path=node.folder).complains(
                "not enough disk space", "free some space"
            )
            assert "Traceback" not in log(node)
            assert node.api("/v1/health")["storage"] == {"state": "full", "free": 0}
            assert "storage of this node is full" in pinfold("status", path=node.folder).err
            node.run("get", large, "-o", str(tmp_path / "back"))
            assert hashlib.sha256((tmp_path / "back").read_bytes()).digest() == before
            node.run("pin", "rm", large)
            node.run("gc")
            assert free(disk) > 8 * MIB
            assert pins(node) == set()
            (disk / "filler").unlink()
            until("the node says that there is room", lambda: "there is room on the disk again" in log(node))
            node.run("add", "-Q", str(content))
            assert node.api("/v1/health")["storage"] != {"state": "full", "free": 0}


def test_without_any_ballast_a_full_disk_still_starts_and_reads(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 80) as disk:
        folder = disk / "node"
        with daemon(folder, "--offline", PINFOLD_STORAGE_RESERVE="0") as node:
            cid = node.run("add", "-Q", str(big(tmp_path, MIB)))
        (folder / "ballast").unlink()
        fill(disk)
        ports = [f"--{face}-port=0" for face in ("gateway", "rpc", "api")]
        with beginning("daemon", "--offline", *ports, path=folder) as process:
            assert process.stdout is not None
            said = iter(process.stdout.readline, b"")
            gateway = next(line.split()[1].decode() for line in said if line.startswith(b"gateway"))
            with urlopen(f"{gateway}/ipfs/{cid}", timeout=SECONDS) as answer:
                assert answer.read() == (tmp_path / "big.bin").read_bytes()
            process.terminate()
            assert process.wait(SECONDS) == 0


def test_a_car_that_comes_in_waits_in_the_data_folder(tmp_path: Path) -> None:
    """It counts for the reserve there; the system's folder for temporary files is often small, or memory."""
    with daemon(tmp_path / "source", "--offline") as source:
        cid = source.run("add", "-Q", str(big(tmp_path, 24 * MIB)))
        source.run("car", "export", cid, "-o", str(tmp_path / "x.car"))
    with daemon(tmp_path / "node", "--offline", TMPDIR="/nowhere") as node:
        assert node.run("car", "import", str(tmp_path / "x.car")) == f"pinned {cid}"
