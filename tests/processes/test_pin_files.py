"""`pinfold pin add|rm --from-file`: a line a pin, failures in a file, interrupted and killed half-way."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from nodes import NodeProcess
from support.command import beginning, daemon, ended, here, pinfold, pins, seconds_to_end, until

from blockstore.cid import CID, RAW

SOON = 30.0  # seconds; a busy machine's idea of at once


def cid(number: int) -> str:
    """Of a block that every node has: its bytes are in its name."""
    return str(CID.identity(RAW, b"%d" % number))


def written(path: Path, lines: Iterable[str]) -> str:
    path.write_text("".join(f"{line}\n" for line in lines))
    return str(path)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    with daemon(tmp_path_factory.mktemp("pin-files") / "node", "--offline") as node:
        yield node


@pytest.fixture
def node(running: NodeProcess) -> NodeProcess:
    """With no pins."""
    if left := pins(running):
        removed = pinfold(
            "pin", "rm", "--from-file", "-", path=running.folder, stdin="\n".join(left).encode()
        )
        assert removed.out == f"{len(left)} unpinned\n", removed
    return running


def test_text_and_json_in_one_file(node: NodeProcess, tmp_path: Path) -> None:
    lines = [cid(1), f"{cid(2)} a name", "", f"{cid(3)}\ttabbed", json.dumps({"cid": cid(4), "name": "json"})]
    said = here(
        "pin", "add", "--from-file", written(tmp_path / "f", lines), "--metadata", "k=v", path=node.folder
    )
    assert (said.code, said.out, said.err) == (0, "4 pinned\n", "")
    listed = here("pin", "ls", "--json", path=node.folder).out.splitlines()
    found = {one["cid"]: (one["name"], one["metadata"]) for one in map(json.loads, listed)}
    assert found == {
        cid(1): ("", {"k": "v"}), cid(2): ("a name", {"k": "v"}),
        cid(3): ("tabbed", {"k": "v"}), cid(4): ("json", {"k": "v"}),
    }  # fmt: skip
    again = here("pin", "add", "--from-file", str(tmp_path / "f"), path=node.folder)
    assert again.out == "4 unchanged\n"
    gone = here("pin", "rm", "--from-file", str(tmp_path / "f"), path=node.folder)
    assert gone.out == "4 unpinned\n"
    assert pins(node) == set()


def test_failed_lines_go_to_a_file_that_can_be_fed_again(node: NodeProcess, tmp_path: Path) -> None:
    bad = ["nonsense with a name", '{"cid":"' + cid(5) + '","colour":"red"}', "{"]
    source = written(tmp_path / "f", [cid(1), bad[0], cid(2), bad[1], cid(3), bad[2]])
    failed = tmp_path / "failed"
    said = here("pin", "add", "--from-file", source, "--failed", str(failed), path=node.folder)
    said.complains(
        "line 2: error decoding Cid", f"line 4 ({cid(5)})", "line 6", f"3 lines failed: they are in {failed}"
    )
    assert said.out == "3 pinned, 3 failed\n"
    assert failed.read_text().splitlines() == bad
    assert pins(node) == {cid(1), cid(2), cid(3)}
    here("pin", "add", "--from-file", source, "--failed", str(failed), path=node.folder).complains("exists")
    here("pin", "add", "--from-file", source, "--failed", source, path=node.folder).complains("is read")
    mended = failed.read_text().replace("nonsense", cid(6)).replace(',"colour":"red"', "").replace("{\n", "")
    failed.write_text(mended)
    said = here("pin", "add", "--from-file", str(failed), path=node.folder)
    assert (said.code, said.out) == (0, "2 pinned\n")


def test_json_says_what_came_of_each_line(node: NodeProcess, tmp_path: Path) -> None:
    source = written(tmp_path / "f", [cid(1), "nonsense"])
    said = here("pin", "add", "--from-file", source, "--json", path=node.folder)
    assert said.code == 1
    answers = [json.loads(line) for line in said.out.splitlines()]
    assert [one.get("result") for one in answers] == ["pinned", "failed", None]
    assert answers[-1] == {"lines": 2, "pinned": 1, "failed": 1}


def test_calls_that_contradict_themselves(node: NodeProcess, tmp_path: Path) -> None:
    source = written(tmp_path / "f", [cid(1)])
    for wrong in (
        ("add",), ("rm",), ("add", cid(1), "--from-file", source), ("add", "--from-file", source, "--wait"),
        ("add", cid(1), "--skip", "3"), ("rm", cid(1), "--failed", "x"),
        ("add", "--from-file", source, "--skip", "-1"),
    ):  # fmt: skip
        assert here("pin", *wrong, path=node.folder).code == 2
    here("pin", "add", "--from-file", str(tmp_path / "none"), path=node.folder).complains("none")
    assert pins(node) == set()


def test_ctrl_c_says_how_to_go_on(node: NodeProcess, tmp_path: Path) -> None:
    feeding = beginning("pin", "add", "--from-file", "-", path=node.folder)
    assert feeding.stdin is not None
    feeding.stdin.write("".join(f"{cid(number)}\n" for number in range(5000)).encode())
    feeding.stdin.flush()
    until("some of it is pinned", lambda: pins(node))
    said = ended(feeding, interrupt=True)
    said.complains("interrupted", "are done: go on with --skip", code=130)
    skip = int(said.err.partition("--skip ")[2].split()[0])
    assert {cid(number) for number in range(skip)} <= pins(node)
    source = written(tmp_path / "f", [cid(number) for number in range(5000)])
    rest = pinfold("pin", "add", "--from-file", source, "--skip", str(skip), path=node.folder)
    assert rest.code == 0
    assert len(pins(node)) == 5000


def test_after_kill_9_every_line_that_was_answered_is_there(node: NodeProcess, tmp_path: Path) -> None:
    source = written(tmp_path / "f", [cid(number) for number in range(20_000)])
    feeding = beginning("pin", "add", "--json", "--from-file", source, path=node.folder)
    assert feeding.stdout is not None
    answered = [json.loads(feeding.stdout.readline()) for _ in range(1500)]
    node.kill()
    said = ended(feeding)
    answered += map(json.loads, said.out.splitlines())
    said.complains("are done: go on with --skip", "the node closed the connection")
    assert len(answered) < 20_000
    assert {one["result"] for one in answered} == {"pinned"}
    node.start("--offline")
    assert {one["cid"] for one in answered} <= pins(node)
    rest = pinfold("pin", "add", "--from-file", source, "--skip", str(answered[-1]["line"]), path=node.folder)
    assert rest.code == 0, rest
    assert len(pins(node)) == 20_000


def test_a_daemon_that_is_told_to_stop_ends_between_two_groups(node: NodeProcess, tmp_path: Path) -> None:
    source = written(tmp_path / "f", [cid(number) for number in range(60_000)])
    feeding = beginning("pin", "add", "--from-file", source, path=node.folder)
    until("some of it is pinned", lambda: pins(node))
    assert node.process is not None
    code, seconds = seconds_to_end(node.process, signal.SIGTERM)
    assert (code, seconds < SOON) == (0, True)
    said = ended(feeding)
    said.complains("are done: go on with --skip", "the node closed the connection")
    skip = int(said.err.partition("--skip ")[2].split()[0])
    node.start("--offline")
    assert {cid(number) for number in range(skip)} <= pins(node)
    assert len(pins(node)) < 60_000
