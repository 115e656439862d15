"""What stands beside the code agrees with it: version, licences, targets of make, checks before a commit."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from node.cli.main import cli
from node.version import VERSION

ROOT = Path(__file__).parent.parent
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
UNIT = ROOT / "packaging" / "pinfold.service"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def test_pip_takes_the_version_from_where_the_program_reads_it() -> None:
    assert "version" in PROJECT["project"]["dynamic"]
    assert PROJECT["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "node.version.VERSION"}
    assert metadata.version("pinfold") == VERSION


def test_python_m_node_is_the_same_command() -> None:
    said = subprocess.run([sys.executable, "-m", "node", "version"], capture_output=True, text=True)
    assert (said.returncode, said.stdout) == (0, f"pinfold {VERSION}\n"), said


def test_both_licences_are_there_in_full_and_go_with_the_program() -> None:
    assert PROJECT["project"]["license"] == "Apache-2.0 OR MIT"
    files = PROJECT["project"]["license-files"]
    assert files == ["LICENSE-APACHE", "LICENSE-MIT"]
    apache, mit = ((ROOT / name).read_text("utf-8") for name in files)
    assert "TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION" in apache
    assert "END OF TERMS AND CONDITIONS" in apache
    assert "Permission is hereby granted, free of charge" in mit
    assert "WITHOUT WARRANTY OF ANY KIND" in mit


@pytest.mark.parametrize(
    "package", sorted({name.split(".")[0] for name in PROJECT["tool"]["setuptools"]["packages"]})
)
def test_every_package_tells_type_checkers_that_it_is_typed(package: str) -> None:
    assert (ROOT / package / "py.typed").exists()
    assert "py.typed" in PROJECT["tool"]["setuptools"]["package-data"]["*"]


def _targets() -> list[str]:
    """Those that are no files, which is all of them."""
    listed = re.search(r"^\.PHONY:((?:.*\\\n)*.*)$", MAKEFILE, re.MULTILINE)
    assert listed
    return listed[1].replace("\\", " ").split()


def test_make_help_lists_every_target() -> None:
    defined = re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE)
    assert sorted(defined) == sorted(_targets())
    said = subprocess.run(["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert re.findall(r"^make ([a-z-]+) +\S", said, re.MULTILINE) == defined


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_targets_that_people_are_told_of_exist(page: str) -> None:
    named = re.findall(r"(?:^|`)make ([a-z-]+)", (ROOT / page).read_text("utf-8"), re.MULTILINE)
    assert named
    assert [name for name in named if name not in _targets()] == []


def test_contributing_tells_how_long_each_target_takes() -> None:
    rows = re.findall(
        r"^\| `make ([a-z-]+)[^`]*` \| [^|]+ \| [^|]*\d+ (?:s|min)\b", _contributing(), re.MULTILINE
    )
    untimed = {"help", "run", "peers", "lock", "clean"}  # no checks; `run` ends when one says so
    assert sorted(rows) == sorted(set(_targets()) - untimed)


def _contributing() -> str:
    return (ROOT / "CONTRIBUTING.md").read_text("utf-8")


def test_the_hooks_before_a_commit_are_what_make_check_runs() -> None:
    hooks = re.findall(r"entry: \.venv/bin/(.+)", (ROOT / ".pre-commit-config.yaml").read_text("utf-8"))
    assert len(hooks) == 3
    assert [
        hook for hook in hooks if not re.search(rf"^\t\$\(BIN\)/{hook}(?: \.)?$", MAKEFILE, re.MULTILINE)
    ] == []


def _unit() -> configparser.ConfigParser:
    unit = configparser.ConfigParser(interpolation=None)
    unit.read(UNIT, "utf-8")
    return unit


def test_the_unit_for_systemd_starts_the_daemon_on_the_folder_that_it_has_made() -> None:
    service = _unit()["Service"]
    program, *arguments = service["ExecStart"].split()
    assert Path(program).name == next(iter(PROJECT["project"]["scripts"]))
    with cli.make_context("pinfold", arguments) as context:
        command = cli.get_command(context, arguments[0])
        assert command is not None
        command.make_context(arguments[0], arguments[1:])
    assert service["Environment"] == f"PINFOLD_PATH=/var/lib/{service['StateDirectory']}"


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd-analyze here")
def test_systemd_finds_nothing_wrong_with_its_unit(tmp_path: Path) -> None:
    """With a program that exists: systemd looks for it."""
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text("utf-8").replace("/usr/local/bin/pinfold", sys.executable), "utf-8")
    said = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True)
    assert (said.returncode, said.stderr) == (0, "")
