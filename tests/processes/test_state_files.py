"""`pinfold state export|import`: all pins in one file and back, while the node works."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from nodes import NodeProcess
from support.command import daemon, here, pinfold, pins

from blockstore.cid import CID, RAW


def cid(number: int) -> str:
    """Of a block that every node has: its bytes are in its name."""
    return str(CID.identity(RAW, b"%d" % number))


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    with daemon(tmp_path_factory.mktemp("state-files") / "node", "--offline") as running:
        lines = "\n".join(f"{cid(number)} number {number}" for number in range(500))
        assert pinfold("pin", "add", "--from-file", "-", path=running.folder, stdin=lines.encode()).code == 0
        yield running


def test_out_and_in_again(node: NodeProcess, tmp_path: Path) -> None:
    target = tmp_path / "state.json"
    said = here("state", "export", str(target), path=node.folder)
    assert (said.code, said.out) == (0, f"saved {target}\n"), said
    assert {json.loads(line)["cid"] for line in target.read_text().splitlines()} == pins(node)
    here("state", "export", str(target), path=node.folder).complains("exists")
    assert here("state", "export", str(target), "--force", path=node.folder).code == 0
    assert pinfold("state", "export", path=node.folder).out == target.read_text()
    said = here("state", "import", str(target), "--dry-run", path=node.folder)
    assert (said.code, said.out) == (0, "500 unchanged\n")
    with daemon(tmp_path / "other", "--offline") as other:
        said = here("state", "import", str(target), "--dry-run", path=other.folder)
        assert (said.code, said.out, pins(other)) == (0, "500 pinned\n", set())
        said = here("state", "import", str(target), path=other.folder)
        assert (said.code, said.out) == (0, "500 pinned\n")
        assert pinfold("state", "export", path=other.folder).out == target.read_text()


def test_what_is_no_export_is_said_to_be_none(node: NodeProcess, tmp_path: Path) -> None:
    source = tmp_path / "list"
    source.write_text(f"{cid(1)} a name\n")
    here("state", "import", str(source), path=node.folder).complains("no state export")
    here("state", "import", str(tmp_path / "none"), path=node.folder).complains("none")
    before = pins(node)
    source.write_text('{"cid":{"/":"' + cid(1) + '"},"type":2}\n')
    here("state", "import", str(source), path=node.folder).complains("before 1.0")
    assert pins(node) == before


def test_lines_that_cannot_be_kept_go_to_a_file(node: NodeProcess, tmp_path: Path) -> None:
    source, failed = tmp_path / "state", tmp_path / "failed"
    bad = json.dumps({"cid": cid(1), "type": "shard-pin", "max_depth": 1})
    source.write_text(json.dumps({"cid": cid(7000), "type": "pin", "max_depth": -1}) + f"\n{bad}\n")
    said = here("state", "import", str(source), "--failed", str(failed), path=node.folder)
    said.complains("line 2", "shards are not kept here", "1 lines failed")
    assert failed.read_text() == f"{bad}\n"
    assert cid(7000) in pins(node)
    more = here(
        "state", "import", str(source), "--replication-min", "2", "--replication-max", "2", path=node.folder
    )
    more.complains("not enough peers")
