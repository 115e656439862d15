"""What Kubo wrote is read here, and exported again byte for byte as Kubo exports it (offline repository)."""

from __future__ import annotations

import random
import subprocess
import tarfile
from pathlib import Path

import pytest
from support.importing import keystream, pieces
from support.kubo import Kubo, peer_command
from support.sources import RecordingSource, joined

from blockstore.blocks import Blocks, OfflineExchange
from blockstore.car.importer import import_car
from blockstore.car.writer import export_car
from blockstore.cid import CID
from blockstore.memory_store import MemoryBlockstore
from blockstore.unixfs.listing import list_directory, lookup
from blockstore.unixfs.reader import read_file
from blockstore.unixfs.tar import tar_stream

pytestmark = pytest.mark.interop

CONTENT = b"".join(keystream("kubo", 6_000_000))
NAMES = [f"file {number} é" for number in range(1500)] + ["日本語.txt", "%2F", "x" * 200]


@pytest.fixture(scope="module")
def kubo(tmp_path_factory: pytest.TempPathFactory) -> Kubo:
    made = Kubo(tmp_path_factory.mktemp("kubo") / "repo")
    made.run("config", "--json", "Import.UnixFSHAMTDirectorySizeThreshold", '"1KiB"')
    return made


def kubo_car(kubo: Kubo, root: str) -> bytes:
    command = [peer_command("ipfs"), "dag", "export", "--progress=false", root]
    return subprocess.run(command, env=kubo.environment, capture_output=True, check=True, timeout=60).stdout


async def taken_over(kubo: Kubo, root: str) -> tuple[RecordingSource, CID]:
    """A store with that DAG out of Kubo's CAR, after a check that we export the same bytes."""
    car = kubo_car(kubo, root)
    store = MemoryBlockstore()
    chunks = pieces(car[start : start + 10_000] for start in range(0, len(car), 10_000))
    summary = await import_car(Blocks(store, OfflineExchange()), chunks)
    source, cid = RecordingSource(store), CID.parse(root)
    assert summary.roots == (cid,)
    assert await joined(export_car(source, cid)) == car
    return source, cid


@pytest.mark.parametrize(
    "flags",
    [
        ("--trickle", "--chunker=size-4096"),
        ("--trickle", "--raw-leaves", "--max-file-links=4", "--chunker=size-65536"),
        ("--cid-version=1", "--chunker=rabin"),
        ("--chunker=size-10000", "--max-file-links=3", "--mode=0640", "--mtime=-5"),
        ("--hash=blake3", "--cid-version=1"),
    ],
)
async def test_files_and_ranges_are_read_as_kubo_wrote_them(
    kubo: Kubo, flags: tuple[str, ...], tmp_path: Path
) -> None:
    path = tmp_path / "content"
    path.write_bytes(CONTENT)
    source, root = await taken_over(kubo, kubo.run("add", "-Q", *flags, str(path)))
    assert await joined(read_file(source, root)) == CONTENT
    draw = random.Random(1)
    for _ in range(20):
        start = draw.randrange(len(CONTENT))
        stop = start + draw.choice([1, 100, 70_000, 1_000_000])
        assert await joined(read_file(source, root, start, stop)) == CONTENT[start:stop]


async def test_a_sharded_folder_is_listed_searched_and_archived_as_kubo_does(
    kubo: Kubo, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    (folder / "sub" / "deep").mkdir(parents=True)
    for name in NAMES:
        (folder / name).write_text(name)
    (folder / "link").symlink_to("sub/deep")
    root = kubo.run("add", "-rQ", "--preserve-mode", str(folder))
    source, cid = await taken_over(kubo, root)
    assert {entry.name async for entry in list_directory(source, cid)} == {*NAMES, "sub", "link"}
    for name in NAMES[::100]:
        found = await lookup(source, cid, name)
        assert await joined(read_file(source, found.cid)) == name.encode()
    ours, theirs = tmp_path / "ours.tar", tmp_path / "theirs.tar"
    ours.write_bytes(await joined(tar_stream(source, cid, root)))
    kubo.run("get", "--archive", "--output", str(theirs), root)
    assert contents(ours) == contents(theirs)


def contents(path: Path) -> dict[str, tuple[bytes, int, str, bytes]]:
    """Kind, mode, link target and bytes of every member."""
    with tarfile.open(path) as archive:
        return {
            member.name: (member.type, member.mode, member.linkname, _data(archive, member))
            for member in archive
        }


def _data(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    opened = archive.extractfile(member) if member.isreg() else None
    return opened.read() if opened else b""
