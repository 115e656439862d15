"""What a person is told: names that hide nothing, errors of one line, and no stack that was not asked for."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from nodes import NodeProcess
from support.command import PINFOLD, Said, daemon, here, pins

HIDDEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff\udc80-\udcff]")
ODD = (
    "a\x1b[31mred\x1b]0;title\x07",
    "b\nadded row",
    "c\u202egnp.exe",
    "d\u200bwidth",
    "e\x9b31m",
    "pay\u200dpal",
)
NOT_UTF8 = os.fsdecode(b"caf\xe9.txt")


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    with daemon(tmp_path_factory.mktemp("printed") / "alone", "--offline") as running:
        yield running


@pytest.fixture(scope="module")
def odd(node: NodeProcess, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder of odd names, and its CID."""
    folder = tmp_path_factory.mktemp("odd") / "names"
    folder.mkdir()
    for name in (*ODD, NOT_UTF8, "plain"):
        (folder / name).write_text("menu")
    return folder, node.run("add", "-rQ", str(folder))


def run(node: NodeProcess, *arguments: str, **variables: str) -> Said:
    return here(*arguments, path=node.folder, **variables)


def test_names_of_strangers_are_spelled_out_one_row_each(node: NodeProcess, odd: tuple[Path, str]) -> None:
    folder, cid = odd
    for arguments, rows in (
        (("ls", cid), 8),
        (("add", "-r", str(folder)), 9),
        (("add", "-rn", str(folder)), 9),
    ):
        said = run(node, *arguments)
        assert (said.code, len(said.out.splitlines())) == (0, rows), said
        assert not HIDDEN.search(said.out)
        for shown in ("a[U+001B][31mred[U+001B]", "b[U+000A]added row", "c[U+202E]gnp", "caf[0xE9].txt"):
            assert shown in said.out


def test_a_pins_name_is_spelled_out_wherever_it_is_shown(node: NodeProcess, odd: tuple[Path, str]) -> None:
    said = run(node, "pin", "add", "--name", "nice\x1b[2J\u202e", odd[1])
    assert said.code == 0, said
    for arguments in (("pin", "ls", odd[1]), ("status", odd[1]), ("pin", "ls")):
        out = run(node, *arguments).out
        assert "nice[U+001B][2J[U+202E]" in out
        assert not HIDDEN.search(out)


def test_json_is_exact_and_hides_nothing_either(node: NodeProcess, odd: tuple[Path, str]) -> None:
    said = run(node, "ls", "--json", odd[1])
    assert not HIDDEN.search(said.out)
    assert {json.loads(line)["name"] for line in said.out.splitlines()} == {*ODD, NOT_UTF8, "plain"}
    added = run(node, "add", "-r", "--json", str(odd[0])).out.splitlines()
    assert f"names/{NOT_UTF8}" in [json.loads(line)["name"] for line in added]


def test_errors_hide_nothing_and_are_one_line(node: NodeProcess, tmp_path: Path) -> None:
    bad = "no\x1b[31m\nsuch"
    for arguments in (
        ("add", bad), ("cat", bad), ("get", bad), ("car", "import", bad), ("name", "put", bad, bad),
        ("config", "get", bad), ("pin", "ls", bad), ("ls", bad), ("add", "--ignore-rules-path", bad, "."),
        (bad,), ("cat", f"--{bad}"),
    ):  # fmt: skip
        said = run(node, *arguments)
        assert said.code != 0, said
        assert not HIDDEN.search(said.err), said
        assert len(said.err.splitlines()) <= 3
        assert "unforeseen" not in said.err
    said = run(node, "cat", "x" * 10_000)
    assert len(said.err) < 1000


def test_paths_are_bytes_and_everything_else_is_text(
    node: NodeProcess, odd: tuple[Path, str], tmp_path: Path
) -> None:
    path = f"{odd[1]}/{NOT_UTF8}"
    assert run(node, "cat", path).out == "menu"
    assert run(node, "ls", path).code == 0
    assert run(node, "get", path, "-o", str(tmp_path / "got")).code == 0
    assert (tmp_path / "got").read_text() == "menu"
    assert run(node, "get", path, "-o", str(tmp_path)).code == 0
    assert (tmp_path / NOT_UTF8).read_text() == "menu"
    assert run(node, "pin", "add", path).code == 0
    assert run(node, "pin", "rm", path).code == 0
    assert run(node, "car", "export", path, "-o", str(tmp_path / "x.car")).code == 0
    assert len(run(node, "add", "-r", "--ignore", NOT_UTF8, str(odd[0])).out.splitlines()) == 8
    for arguments in (
        ("add", "--name", NOT_UTF8, str(odd[0] / "plain")), ("pin", "add", "--name", NOT_UTF8, odd[1]),
        ("pin", "add", "--metadata", f"{NOT_UTF8}=1", odd[1]), ("status", "--filter", NOT_UTF8),
        ("config", "set", "cluster.peer_name", NOT_UTF8), ("config", "get", NOT_UTF8),
        ("pin", "ls", NOT_UTF8),
    ):  # fmt: skip
        said = run(node, *arguments)
        said.complains("caf", code=said.code)
        assert said.code in (1, 2), said
        assert len(said.err.splitlines()) <= 3
    here("init", "--name", NOT_UTF8, path=tmp_path / "fresh").complains("caf[0xE9]")
    run(node, "config", "show", PINFOLD_CLUSTER_PEER_NAME=NOT_UTF8).complains("the environment", "UTF-8")


def shell(node: NodeProcess, line: str) -> Said:
    """A line of shell; `$0` is the command."""
    done = subprocess.run(
        ["sh", "-c", line, PINFOLD], env={**os.environ, "PINFOLD_PATH": str(node.folder)},
        capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60,
    )  # fmt: skip
    return Said(done.returncode, done.stdout, done.stderr)


def test_closed_standard_streams_are_one_line_or_silence(
    node: NodeProcess, odd: tuple[Path, str], tmp_path: Path
) -> None:
    file = f"{odd[1]}/plain"
    for line in ('"$0" add -Q <&-', '"$0" add - <&-', '"$0" add <&-'):
        shell(node, line).complains("standard input", "closed")
    shell(node, '"$0" add -Q /dev/stdin <&-').complains("/dev/stdin")
    shell(node, f'"$0" cat {file} >&-').complains("standard output is closed")
    shell(node, f'"$0" car export {file} >&-').complains("standard output is closed")
    assert shell(node, f'"$0" ls {odd[1]} >&-').code == 0
    assert shell(node, f'"$0" cat {file} 2>&-') == Said(0, "menu", "")
    assert shell(node, '"$0" cat nothing 2>&-') == Said(1, "", "")
    assert shell(node, f'"$0" add -Q {odd[0]}/plain <&- >&- 2>&-') == Said(0, "", "")
    full = os.strerror(errno.ENOSPC)
    for line in (
        f'"$0" cat {file} >/dev/full',
        f'"$0" ls {odd[1]} >/dev/full',
        '"$0" version --json >/dev/full',
    ):
        said = shell(node, line)
        assert (said.code, said.err) == (1, f"Error: standard output: {full}\n"), said


def test_a_reader_that_has_enough_is_no_error(node: NodeProcess, odd: tuple[Path, str]) -> None:
    said = shell(node, f'"$0" ls {odd[1]} | head -n 1')
    assert (said.code, said.err) == (0, ""), said


def test_a_damaged_addresses_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "addresses.json").write_text("{")
    here("id", path=tmp_path).complains(f"{tmp_path}/addresses.json is damaged", "remove it")


BUG = """
import sys
from node.cli.commands import version
from node.cli.main import main
def broken(*_, **__): raise ZeroDivisionError("by\\x1b[31m zero")
version.command.callback = broken
main()
"""


def test_a_bug_is_one_line_that_says_where_its_stack_is(tmp_path: Path) -> None:
    def run_broken(*arguments: str) -> Said:
        done = subprocess.run(
            [Path(PINFOLD).with_name("python"), "-c", BUG, "--path", str(tmp_path), *arguments],
            capture_output=True, text=True, cwd=Path(__file__).parents[2],
        )  # fmt: skip
        return Said(done.returncode, done.stdout, done.stderr)

    said = run_broken("version")
    said.complains("unforeseen ZeroDivisionError: by[U+001B][31m zero", str(tmp_path / "error.log"))
    assert len(said.err.splitlines()) == 1
    assert "raise ZeroDivisionError" not in said.err
    assert "ZeroDivisionError" in (tmp_path / "error.log").read_text()
    assert (tmp_path / "error.log").stat().st_mode & 0o777 == 0o600
    assert "Traceback" in run_broken("--debug", "version").err
    no_folder = subprocess.run(
        [Path(PINFOLD).with_name("python"), "-c", BUG, "--path", str(tmp_path / "none"), "version"],
        capture_output=True, text=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert "--debug" in no_folder.stderr
    assert len(no_folder.stderr.splitlines()) == 1


def test_errors_that_were_foreseen_show_their_stack_with_debug_only(node: NodeProcess) -> None:
    assert "Traceback" not in run(node, "cat", "nothing").err
    assert "Traceback" in run(node, "--debug", "cat", "nothing").err


@pytest.mark.parametrize(
    "command", ["pin add", "pin rm", "pin ls", "status", "ls", "cat", "get -o {}", "car import"]
)
def test_of_several_inputs_the_good_ones_are_worked_on(
    node: NodeProcess, tmp_path: Path, command: str
) -> None:
    (tmp_path / "a").write_text(command)
    good = node.run("add", "-Q", str(tmp_path / "a"))
    (tmp_path / "out").mkdir()
    if command == "car import":
        node.run("car", "export", good, "-o", str(tmp_path / "x.car"))
        good = str(tmp_path / "x.car")
    words = command.format(tmp_path / "out").split()
    said = run(node, *words, "bafybad1", good, "bafybad2")
    said.complains("bafybad1", "bafybad2", "1 of 3 were")
    assert len(said.err.splitlines()) == 3, said
    assert said.out != ""


def test_of_several_files_to_add_the_readable_ones_are_added(node: NodeProcess, tmp_path: Path) -> None:
    for name in ("a", "z"):
        (tmp_path / name).write_text(f"several {name}")
    os.mkfifo(tmp_path / "a-folder-with")
    (tmp_path / "d").mkdir()
    os.mkfifo(tmp_path / "d" / "pipe")
    names = [str(tmp_path / name) for name in ("a", "none", "d", "z")]
    said = run(node, "add", "-r", *names)
    said.complains(f'"{tmp_path}/none"', f"{tmp_path}/d/pipe", "2 of 4 were added")
    added = dict(line.split()[:0:-1] for line in said.out.splitlines())
    assert sorted(added) == ["a", "z"]
    assert set(added.values()) <= pins(node)
    wrapped = run(node, "add", "-rw", *names)
    wrapped.complains("d/pipe")
    assert wrapped.out == ""
