"""`pinfold token` and `pinfold audit`, as an operator uses them on a running node."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from click.testing import CliRunner, Result
from nodes import NodeProcess
from support.command import daemon

from node.cli.main import cli


def run(node: NodeProcess, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["--path", str(node.folder), *arguments])


def lines(done: Result) -> list[str]:
    assert done.exit_code == 0, done.output
    return done.stdout.splitlines()


def asked(node: NodeProcess, method: str, path: str, token: str) -> int:
    addresses = json.loads((node.folder / "addresses.json").read_text())
    headers = {"Authorization": f"Bearer {token}"}
    request = urllib.request.Request(addresses["api"] + path, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    with daemon(tmp_path_factory.mktemp("tokens") / "alone", "--offline") as running:
        yield running


def test_a_token_is_printed_alone_counts_at_once_and_is_revoked_at_once(node: NodeProcess) -> None:
    (token,) = lines(run(node, "token", "create", "wall", "--scope", "read"))
    assert asked(node, "GET", "/id", token) == 200
    assert asked(node, "POST", "/pins/bafkqaaa", token) == 403
    assert token not in "".join(lines(run(node, "token", "list")))
    assert lines(run(node, "token", "revoke", "wall")) == ["revoked wall"]
    assert asked(node, "GET", "/id", token) == 401


def test_what_each_token_is_for_is_listed(node: NodeProcess) -> None:
    made = run(node, "token", "create", "bot", "--scope", "pin", "--owner", "alice", "--json")
    told = json.loads(lines(made)[-1])
    assert (told["name"], told["scope"], told["owner"]) == ("bot", "pin", "alice")
    (listed,) = [json.loads(line) for line in lines(run(node, "token", "list", "--json"))]
    assert listed == {key: told[key] for key in ("name", "scope", "owner", "created")}
    assert lines(run(node, "token", "list"))[0].split()[:3] == ["bot", "pin", "alice"]
    lines(run(node, "token", "revoke", "bot"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["create", "x"], "--scope"),
        (["create", "x", "--scope", "king"], "king"),
        (["create", "a/b", "--scope", "read"], "letters, digits"),
        (["create", "", "--scope", "read"], "letters, digits"),
        (["create", "x", "--scope", "admin", "--owner", "alice"], "leave one of the two out"),
        (["revoke", "none"], "there is no token"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_kept(
    node: NodeProcess, arguments: list[str], said: str
) -> None:
    done = run(node, "token", *arguments)
    assert done.exit_code != 0
    assert said in str(done.exception) + done.output
    assert lines(run(node, "token", "list")) == []


def test_the_audit_log_tells_who_it_was(node: NodeProcess) -> None:
    (token,) = lines(run(node, "token", "create", "visitor", "--scope", "read"))
    asked(node, "DELETE", "/pins/bafkqaaa", token)
    (told,) = lines(run(node, "audit", "--name", "visitor", "--refused"))
    assert told.split()[1:] == ["403", "token:visitor", "127.0.0.1", "DELETE", "/pins/bafkqaaa"]
    record = json.loads(lines(run(node, "audit", "-n", "1", "--json"))[0])
    assert (record["face"], record["status"], record["name"]) == ("api", 403, "visitor")
    assert token not in (node.folder / "audit.log").read_text()
    assert run(node, "audit", "--since", "yesterday").exit_code != 0
