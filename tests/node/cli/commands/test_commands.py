"""The command line without a daemon: spelling, help, settings, completion."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from blockstore.errors import BadImportOption
from node.cli.exit_code import exit_code
from node.cli.input.go_switches import Switch, SwitchCommand
from node.cli.main import COMMANDS, cli
from node.config.config import keys


def words() -> list[tuple[str, ...]]:
    """Every command, groups and what is in them."""
    found: list[tuple[str, ...]] = [()]
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        found.append((name,))
        found += [(name, sub) for sub in command.commands] if isinstance(command, click.Group) else []
    return found


@pytest.mark.parametrize("command", words(), ids=" ".join)
def test_every_command_has_help_that_says_what_it_does(command: tuple[str, ...]) -> None:
    for option in ("--help", "-h"):
        done = CliRunner().invoke(cli, [*command, option])
        assert done.exit_code == 0, done.output
        assert done.output.startswith(f"Usage: cli {' '.join(command)}".rstrip())
        assert len(done.output.splitlines()) > 3


def spelled(*arguments: str) -> dict[str, object]:
    seen: dict[str, object] = {}

    @click.command(cls=SwitchCommand)
    @click.argument("paths", nargs=-1)
    @click.option("--recursive", "-r", cls=Switch, default=False)
    @click.option("--quieter", "-Q", cls=Switch, default=False)
    @click.option("--raw-leaves", cls=Switch)
    @click.option("--chunker", "-s")
    def command(**given: object) -> None:
        seen.update(given)

    command.main(list(arguments), standalone_mode=False)
    return seen


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("-rQ x", {"recursive": True, "quieter": True, "paths": ("x",)}),
        ("-r -Q x", {"recursive": True, "quieter": True, "paths": ("x",)}),
        ("-r=false x", {"recursive": False}),
        ("--raw-leaves=false", {"raw_leaves": False}),
        ("--raw-leaves x", {"raw_leaves": True, "paths": ("x",)}),
        ("x", {"raw_leaves": None, "recursive": False, "paths": ("x",)}),
        ("-- -r --raw-leaves", {"recursive": False, "raw_leaves": None, "paths": ("-r", "--raw-leaves")}),
        ("-rs size-10 x", {"recursive": True, "chunker": "size-10", "paths": ("x",)}),
        ("-ssize-10", {"chunker": "size-10"}),
        ("- x", {"paths": ("-", "x")}),
    ],
)
def test_switches_are_spelled_as_kubo_has_them(arguments: str, expected: dict[str, object]) -> None:
    seen = spelled(*arguments.split())
    assert {name: seen[name] for name in expected} == expected


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    assert run(tmp_path / "node", "init", "--name", 'a "quoted" näme').exit_code == 0
    return tmp_path / "node"


def run(folder: Path, *arguments: str, **variables: str) -> Result:
    return CliRunner().invoke(cli, ["--path", str(folder), *arguments], env=variables)


def test_init_makes_a_private_folder_and_keeps_any_name(folder: Path) -> None:
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()} == {
        "config.toml": 0o600, "cluster.json": 0o600, "identity.key": 0o600, "api.secret": 0o600,
    }  # fmt: skip
    assert run(folder, "config", "get", "cluster.peer_name").output == 'a "quoted" näme\n'


def test_a_setting_is_written_and_comments_are_kept(folder: Path) -> None:
    file = folder / "config.toml"
    file.write_text(file.read_text() + "\n# why this port\n[gateway]\nport = 81  # taken: 80\n")
    assert run(folder, "config", "set", "gateway.port", "82").exit_code == 0
    assert run(folder, "config", "set", "cluster.tags", "group=b,disk=ssd").exit_code == 0
    text = file.read_text()
    assert "# why this port" in text
    assert "port = 82  # taken: 80" in text
    assert run(folder, "config", "get", "cluster.tags").output == "group=b,disk=ssd\n"
    shown = json.loads(run(folder, "config", "show", "--json").output)
    assert list(shown) == [key for key, _ in keys()]
    assert (shown["gateway.port"], shown["cluster.tags"]) == (82, ["group=b", "disk=ssd"])
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_setting_may_be_minus_one(folder: Path) -> None:
    assert run(folder, "config", "set", "cluster.replication_min", "2").exit_code == 0
    assert run(folder, "config", "set", "cluster.replication_min", "-1").exit_code == 0
    assert run(folder, "config", "get", "cluster.replication_min").output == "-1\n"


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("gateway.port", "-1", "takes a port"),
        ("gateway.prot", "1", "unknown setting"),
        ("gateway", "1", "unknown"),
        ("gateway.port", "x", "whole number"),
        ("gateway.port", "8_0", "whole number"),
        ("gateway.port", "080", "whole number"),
        ("gateway.port", " 80", "whole number"),
        ("gateway.port", "٨٠", "whole number"),
        ("storage.quota", "10GB", "whole number"),
        ("gateway.client_rate", "1_0", "a number"),
        ("gateway.client_rate", "nan", "a number"),
        ("gateway.client_rate", "inf", "a number"),
    ],
)
def test_a_setting_that_is_wrong_changes_nothing(folder: Path, key: str, value: str, says: str) -> None:
    before = (folder / "config.toml").read_bytes()
    done = run(folder, "config", "set", key, value)
    assert done.exit_code == 2
    assert says in done.output
    assert (folder / "config.toml").read_bytes() == before


def test_a_setting_that_is_wrong_in_the_file_is_told_with_the_file_and_can_be_set_right(folder: Path) -> None:
    file = folder / "config.toml"
    file.write_text("[gateway]\nport = 'x'\nidle_timeout = 0\n")
    assert f'{file}: setting "gateway.port" takes' in str(run(folder, "config", "show").exception)
    assert run(folder, "config", "set", "gateway.port", "82").exit_code == 0
    assert run(folder, "config", "set", "gateway.idle_timeout", "30").exit_code == 0
    assert run(folder, "config", "get", "gateway.port").output == "82\n"
    told = run(folder, "config", "show", PINFOLD_GATEWAY_PORT="x").exception
    assert 'the environment: setting "gateway.port" takes' in str(told)


@pytest.mark.parametrize("text", ["[gateway\n", "gateway = 1\n"])
def test_a_file_that_cannot_be_read_is_told_and_left_as_it_is(folder: Path, text: str) -> None:
    file = folder / "config.toml"
    file.write_text(text)
    assert str(file) in str(run(folder, "config", "set", "gateway.port", "82").exception)
    assert file.read_text() == text


def test_what_is_shown_is_what_is_in_force(folder: Path) -> None:
    done = run(folder, "config", "get", "api.port", PINFOLD_API_PORT="1234")
    assert done.output == "1234\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_is_one_that_the_shell_accepts(shell: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["completion", shell])
    assert done.exit_code == 0, done.output
    assert "_PINFOLD_COMPLETE" in done.output
    script = tmp_path / "script"
    script.write_text(done.output)
    if found := shutil.which(shell):  # bash everywhere; the others where they are
        subprocess.run([found, "-n", str(script)], check=True)


@pytest.mark.parametrize(
    ("option", "value"),
    [("--mode", value) for value in ("999", "678", "77777", "abc", "0", "-1", "0x1ff", "", "7_7", "٦٠٠")]
    + [("--mtime", value) for value in ("010", "0", "yesterday", "1.5", "1e9", "99999999999999999999")]
    + [
        ("--mtime-nsecs", "-1"),
        ("--hamt-threshold", "256KiB"),
        ("--inline-limit", "32B"),
        ("--inline-limit", "-1"),
        ("--cid-version", "01"),
        ("--chunker", "size-1MiB"),
        ("--chunker", "size-0"),
        ("--max-file-links", "0"),
    ],
)
def test_a_number_that_cannot_be_meant_is_refused(option: str, value: str) -> None:
    with pytest.raises((click.UsageError, BadImportOption)) as refused:
        cli.main(["add", "-nQ", option, value, __file__], standalone_mode=False)
    assert exit_code(refused.value) == 2
    assert value in str(refused.value)


@pytest.mark.parametrize("mode", ["600", "0600", "0o600"])
def test_a_mode_is_octal_however_it_is_written(mode: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    said = CliRunner().invoke(cli, ["add", "-nQ", "--mode", mode, str(tmp_path / "a")])
    os.chmod(tmp_path / "a", 0o600)
    kept = CliRunner().invoke(cli, ["add", "-nQ", "--preserve-mode", str(tmp_path / "a")])
    assert said.output == kept.output != ""


NO_JSON = {("cat",), ("name", "get"), ("completion",), ("daemon",)}


@pytest.mark.parametrize("command", words(), ids=" ".join)
def test_json_stands_in_one_place_of_every_commands_help(command: tuple[str, ...]) -> None:
    told = [line.split()[0] for line in help_of(command) if line.strip().startswith("-")]
    if command in NO_JSON:
        assert "--json" not in told
    elif command and not is_group(command):
        assert told[-2:] == ["--json", "-h,"]


def help_of(command: tuple[str, ...]) -> list[str]:
    return CliRunner().invoke(cli, [*command, "--help"]).output.splitlines()


def is_group(command: tuple[str, ...]) -> bool:
    return isinstance(cli.get_command(click.Context(cli), command[0]), click.Group) and len(command) == 1


@pytest.mark.parametrize("command", sorted(NO_JSON), ids=" ".join)
def test_what_prints_no_text_refuses_json(command: tuple[str, ...]) -> None:
    arguments = {"completion": ["bash"], "daemon": []}.get(command[-1], ["x"])
    for line in (["--json", *command, *arguments], [*command, "--json", *arguments]):
        with pytest.raises(click.UsageError, match="has no --json"):
            cli.main(line, standalone_mode=False)


def test_json_may_stand_before_the_command_and_behind_it(folder: Path) -> None:
    for words_before, words_behind in ((["--json"], []), ([], ["--json"])):
        command = [*words_before, "config", "get", "gateway.port", *words_behind]
        assert json.loads(run(folder, *command).output) == {"key": "gateway.port", "value": 8080}
    assert json.loads(run(folder, "--json", "version").output)["version"]
    done = run(folder, "config", "set", "--json", "gateway.port", "81")
    assert json.loads(done.output) == {"key": "gateway.port", "value": 81}
