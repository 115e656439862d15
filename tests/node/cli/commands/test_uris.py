"""`ipfs:` and `ipns:` URIs where the command line and the RPC take a path (IPIP-548), at a running node."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from nodes import NodeProcess
from support.command import daemon, pins
from support.ipns import Key

from node.cli.main import cli

KEY = Key(3)


def run(node: NodeProcess, *arguments: str) -> str:
    done = CliRunner().invoke(cli, ["--path", str(node.folder), *arguments])
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    with daemon(tmp_path_factory.mktemp("uris") / "alone", "--offline") as running:
        yield running


@pytest.fixture(scope="module")
def uris(node: NodeProcess, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A folder with a file `a b`, as every kind of URI."""
    folder = tmp_path_factory.mktemp("content") / "d"
    folder.mkdir()
    (folder / "a b").write_bytes(b"text")
    root = run(node, "add", "-rQ", str(folder)).split()[-1]
    record = folder.parent / "record"
    record.write_bytes(KEY.record(f"/ipfs/{root}", time.time() + 1e6))
    run(node, "name", "put", f"ipns://{KEY.name}", str(record))
    return [
        f"{scheme}{name}"
        for name, scheme in (
            *((root, scheme) for scheme in ("ipfs://", "IPFS://", "ipfs:", "Ipfs:")),
            *((str(KEY.name), scheme) for scheme in ("ipns://", "IPNS://", "ipns:")),
        )
    ]


def test_uris_are_read_like_the_paths_they_mean(node: NodeProcess, uris: list[str]) -> None:
    root = uris[0].removeprefix("ipfs://")
    for uri in uris:
        assert run(node, "cat", f"{uri}/a%20b?x=1#y") == "text"
        assert "a b" in run(node, "ls", uri)
        if uri.lower().startswith("ipns"):
            assert run(node, "name", "resolve", f"{uri}/a%20b").strip() == f"/ipfs/{root}/a b"


def test_what_is_saved_is_called_by_the_last_name_of_the_uri(
    node: NodeProcess, uris: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, uri in enumerate(uris):
        (place := tmp_path / str(number)).mkdir()
        monkeypatch.chdir(place)
        run(node, "get", f"{uri}/a%20b?x")
        assert (place / "a b").read_bytes() == b"text"
        run(node, "get", uri)
        name = uri.rpartition("/")[2].rpartition(":")[2]
        assert (place / name / "a b").read_bytes() == b"text"


def test_uris_are_pinned_and_unpinned(node: NodeProcess, uris: list[str]) -> None:
    root = uris[0].removeprefix("ipfs://")
    for uri in uris:
        run(node, "pin", "rm", uri)
        assert root not in pins(node)
        run(node, "pin", "add", uri)
        assert root in pins(node)


def test_a_car_is_exported_by_uri(node: NodeProcess, uris: list[str], tmp_path: Path) -> None:
    for uri in uris:
        run(node, "car", "export", uri, "-o", str(tmp_path / "out.car"))
        assert b"text" in (tmp_path / "out.car").read_bytes()
        (tmp_path / "out.car").unlink()
