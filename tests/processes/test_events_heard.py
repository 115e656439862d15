"""`pinfold events` and `pinfold status --watch`, as somebody who looks on runs them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from nodes import NodeProcess
from support.command import beginning, daemon, ended, pinfold

ABSENT = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    with daemon(tmp_path_factory.mktemp("events") / "alone", "--offline") as running:
        yield running


def line_with(process: subprocess.Popen[bytes], *words: str) -> str:
    """The next line that has these words in it; the test's timeout ends what never comes."""
    assert process.stdout is not None
    for line in process.stdout:
        if all(word in line.decode() for word in words):
            return line.decode()
    raise AssertionError(f"it ended without {words}")


def added(node: NodeProcess, data: bytes, *options: str) -> str:
    return pinfold("add", "-Q", *options, path=node.folder, stdin=data).out.strip()


def test_who_looks_on_sees_each_change_and_ends_with_control_c(node: NodeProcess) -> None:
    looking = beginning("events", path=node.folder)
    before = beginning("events", "--json", "--type", "status", path=node.folder)
    wait_for_listeners(node, looking, before)
    cid = added(node, b"seen", "--name", "a name")
    assert line_with(looking, "pin", "added", cid, "a name", "by alone")
    facts = json.loads(line_with(before, cid))
    assert (facts["type"], facts["status"], facts["name"]) == ("status", "pinned", "alone")
    assert ended(looking, interrupt=True).code == ended(before, interrupt=True).code == 130
    since = pinfold("events", "--json", "--since", "oldest", "--cid", cid, "--count", "2", path=node.folder)
    told = [json.loads(line) for line in since.out.splitlines()]
    assert {one["type"] for one in told} == {"pin", "status"}
    after = pinfold("events", "--json", "--since", told[0]["id"], "--count", "1", path=node.folder)
    assert json.loads(after.out)["id"] == told[1]["id"]


def wait_for_listeners(node: NodeProcess, *looking: subprocess.Popen[bytes]) -> None:
    """Each has heard of one pin, made again until it has."""
    for number, process in enumerate(looking):
        while not heard_of(node, process, f"{number}".encode()):
            pass


def heard_of(node: NodeProcess, process: subprocess.Popen[bytes], data: bytes) -> bool:
    import select

    cid = added(node, data)
    pinfold("pin", "rm", cid, path=node.folder)
    assert process.stdout is not None
    return bool(select.select([process.stdout], [], [], 1.0)[0])


def test_a_watched_status_is_printed_when_it_changes(node: NodeProcess) -> None:
    watching = beginning("status", "--watch", ABSENT, path=node.folder)
    assert line_with(watching, "unpinned")
    pinfold("pin", "add", ABSENT, path=node.folder)
    assert line_with(watching, "pin error")
    pinfold("pin", "rm", ABSENT, path=node.folder)
    assert line_with(watching, "unpinned")
    assert ended(watching, interrupt=True).code == 130


def test_what_is_not_understood_is_said(node: NodeProcess, tmp_path: Path) -> None:
    pinfold("events", "--type", "pins", path=node.folder).complains("types", "pins")
    pinfold("events", "--since", "yesterday", path=node.folder).complains("since", "yesterday")
    pinfold("events", "--count", "0", path=node.folder).complains("at least 1", code=2)
    pinfold("status", "--watch", "--filter", "pinned", path=node.folder).complains("--watch", code=2)
    pinfold("events", path=tmp_path).complains("no daemon", code=3)
