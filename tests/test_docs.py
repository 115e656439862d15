"""The documentation is tested: commands, settings and routes are mentioned; CI runs the README's commands."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from node import config
from node.cli.main import COMMANDS, cli

ROOT = Path(__file__).parent.parent


def _page(name: str) -> str:
    return (ROOT / name).read_text()


def _commands() -> list[tuple[str, click.Command]]:
    found: list[tuple[str, click.Command]] = []
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        subcommands = command.commands if isinstance(command, click.Group) else {}
        found += [(f"{name} {sub}", part) for sub, part in subcommands.items()] or [(name, command)]
    return found


@pytest.mark.parametrize("name", [name for name, _ in _commands()])
def test_every_command_is_described(name: str) -> None:
    assert f"`pinfold {name}" in _page("docs/commands.md")


def test_every_option_of_add_and_daemon_is_described() -> None:
    page = _page("docs/commands.md")
    options = [
        option.opts[-1] if not option.opts[0].startswith("--") else option.opts[0]
        for name, command in _commands()
        if name in ("add", "daemon")
        for option in command.params
        if isinstance(option, click.Option)
    ]
    assert [option for option in options if option not in page] == []


@pytest.mark.parametrize("key", sorted(dict(config.keys())))
def test_every_setting_is_described(key: str) -> None:
    assert f"`{key}`" in _page("docs/settings.md")


def test_every_documented_setting_exists() -> None:
    known = dict(config.keys())
    rows = re.findall(r"^\| (`[^|]+) \|", _page("docs/settings.md"), re.MULTILINE)
    named = [key for row in rows for key in re.findall(r"`([a-z]+\.[a-z_]+)`", row)]
    assert named
    assert [key for key in named if key not in known] == []


def test_links_between_pages_lead_somewhere() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    broken = [
        f"{page.relative_to(ROOT)}: {link}"
        for page in pages
        for link in re.findall(r"\]\(([^)#:]+)[^)]*\)", page.read_text())
        if not (page.parent / link).exists()
    ]
    assert broken == []


def test_ci_runs_what_the_readme_tells_people_to_run() -> None:
    script = _page(".ci/run")
    assert "make test" in _page("README.md")
    assert [
        step for step in ("make check", "make test", "make interop", "make binary") if step not in script
    ] == []


def test_no_page_or_file_names_a_machine_or_a_registry() -> None:
    words = [
        "/" + "root/",
        "pypi" + ".org",
        "proxy.golang" + ".org",
        "registry.npmjs" + ".org",
        "files.python" + "hosted",
    ]
    files = [path for path in ROOT.rglob("*") if path.is_file() and _is_ours(path)]
    found = [
        f"{path.relative_to(ROOT)}: {word}"
        for path in files
        for word in words
        if word in path.read_text("utf-8", "replace")
    ]
    assert found == []


def _is_ours(path: Path) -> bool:
    parts = path.relative_to(ROOT).parts
    return (
        not parts[0].startswith(".")
        and parts[0] not in ("build", "dist")
        and not parts[0].endswith(".egg-info")
        and "__pycache__" not in parts
    )
