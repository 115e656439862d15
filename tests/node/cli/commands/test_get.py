"""A TAR stream to disk: whole or not at all, and never outside the target."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.cli.commands.get import save
from node.cli.errors import Failure


def tar(*members: tuple[str, str, bytes | str]) -> bytes:
    """Of (name, kind, content): kind d, f or l."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, kind, content in members:
            info = tarfile.TarInfo(name)
            info.mtime, info.mode = 1_000_000, 0o750
            if kind == "l":
                info.type, info.linkname = tarfile.SYMTYPE, str(content)
            elif kind == "d":
                info.type = tarfile.DIRTYPE
            data = content if isinstance(content, bytes) else b""
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def pieces(data: bytes, size: int = 700) -> Iterator[bytes]:
    yield from (data[start : start + size] for start in range(0, len(data), size))


def unheard(size: int) -> None:
    """No bar."""


def test_files_folders_and_links_are_as_they_were(tmp_path: Path) -> None:
    stream = tar(
        ("cid", "d", b""), ("cid/a", "f", b"alpha" * 1000), ("cid/empty", "d", b""), ("cid/l", "l", "a"),
        ("cid/absolute", "l", "/etc/hosts"), ("cid/up", "l", "../../x"),
    )  # fmt: skip
    target = tmp_path / "new" / "photos"
    save(pieces(stream), target, unheard)
    assert (target / "a").read_bytes() == b"alpha" * 1000
    assert sorted(path.name for path in target.iterdir()) == ["a", "absolute", "empty", "l", "up"]
    links = {name: str((target / name).readlink()) for name in ("l", "absolute", "up")}
    assert links == {"l": "a", "absolute": "/etc/hosts", "up": "../../x"}
    for path in (target, target / "a", target / "empty"):
        assert (path.stat().st_mode & 0o777, path.stat().st_mtime) == (0o750, 1_000_000), path
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("kind", ["f", "l"])
def test_a_root_may_be_a_file_or_a_link(tmp_path: Path, kind: str) -> None:
    save(pieces(tar(("cid", kind, b"x" if kind == "f" else "/etc/hosts"))), tmp_path / "out", unheard)
    assert (tmp_path / "out").is_symlink() == (kind == "l")


@pytest.mark.parametrize("name", ["cid/../../evil", "/etc/evil", "cid/a/../../../evil"])
def test_an_entry_outside_the_target_is_refused_and_nothing_is_left(tmp_path: Path, name: str) -> None:
    stream = tar(("cid", "d", b""), ("cid/a", "f", b"x"), (name, "f", b"evil"))
    with pytest.raises(Failure, match="outside the target"):
        save(pieces(stream), tmp_path / "out", unheard)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_written_through_a_link_of_the_archive(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    stream = tar(("cid", "d", b""), ("cid/l", "l", str(outside)), ("cid/l/evil", "f", b"evil"))
    with pytest.raises(FileNotFoundError):
        save(pieces(stream), tmp_path / "out", unheard)
    assert list(outside.iterdir()) == []
    assert list(tmp_path.iterdir()) == [outside]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ConnectionError("gone")])
def test_a_stream_that_breaks_off_leaves_nothing(tmp_path: Path, error: BaseException) -> None:
    def broken() -> Iterator[bytes]:
        yield tar(("cid", "d", b""), ("cid/a", "f", bytes(100_000)))[:20_000]
        raise error

    with pytest.raises(type(error)):
        save(broken(), tmp_path / "out", unheard)
    assert list(tmp_path.iterdir()) == []
