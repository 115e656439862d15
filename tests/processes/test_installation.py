"""`pipx install .`: the program works in an environment of its own, made from a copy of the project."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.command import daemon

from node.version import VERSION

pytestmark = [pytest.mark.processes, pytest.mark.timeout(600)]  # two environments are made; some 50 s

ROOT = Path(__file__).parents[2]
NOT_COPIED = (".git", ".venv", "build", "dist", "*.egg-info", "__pycache__", ".*_cache", ".hypothesis")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of pipx after an installation: `bin` is what a user has on the path."""
    top = tmp_path_factory.mktemp("pipx")
    project = shutil.copytree(ROOT, top / "project", ignore=shutil.ignore_patterns(*NOT_COPIED))
    environment = {
        **os.environ,
        "PIPX_HOME": str(top / "home"),
        "PIPX_BIN_DIR": str(top / "bin"),
        "PIPX_MAN_DIR": str(top / "man"),
        "PIPX_DISABLE_SHARED_LIBS_AUTO_UPGRADE": "1",
        "PIP_CONSTRAINT": str(project / "packaging" / "constraints.txt"),  # what the rest is tested with
    }
    said = subprocess.run(
        [sys.executable, "-m", "pipx", "install", "."],
        cwd=project, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert said.returncode == 0, said.stdout + said.stderr
    yield top
    shutil.rmtree(top)


def _environment(installed: Path) -> Path:
    return installed / "home" / "venvs" / "pinfold"


def _record(installed: Path) -> list[str]:
    """Every file that belongs to the program, as pip wrote it down."""
    (record,) = _environment(installed).glob("lib/python*/site-packages/pinfold-*.dist-info/RECORD")
    return [line.rsplit(",", 2)[0] for line in record.read_text("utf-8").splitlines()]


def test_the_command_and_python_m_node_tell_the_version(installed: Path) -> None:
    python = _environment(installed) / "bin" / "python"
    for command in ([installed / "bin" / "pinfold"], [python, "-m", "node"]):
        said = subprocess.run([*command, "version"], cwd=installed, capture_output=True, text=True)
        assert (said.returncode, said.stdout) == (0, f"pinfold {VERSION}\n"), said


def test_all_that_is_no_code_is_installed_too(installed: Path) -> None:
    files = _record(installed)
    assert any(name.endswith("/licenses/LICENSE-APACHE") for name in files)
    assert any(name.endswith("/licenses/LICENSE-MIT") for name in files)
    templates = [str(path.relative_to(ROOT)) for path in (ROOT / "node").rglob("templates/*")]
    markers = [f"{package}/py.typed" for package in ("blockstore", "bitswap", "cluster", "node")]
    assert templates
    assert [name for name in (*templates, *markers) if name not in files] == []


def test_nothing_but_the_four_packages_is_installed(installed: Path) -> None:
    tops = {name.split("/")[0] for name in _record(installed) if name.endswith(".py")}
    assert tops == {"blockstore", "bitswap", "cluster", "node"}


def test_the_installed_node_adds_a_file_and_serves_pages(installed: Path) -> None:
    file = installed / "a file.txt"
    file.write_text("installed")
    with daemon(installed / "node", "--offline", command=str(installed / "bin" / "pinfold")) as node:
        cid = node.run("add", "-Q", str(file))
        with urllib.request.urlopen(node.gateway(f"/ipfs/{cid}")) as answer:
            assert answer.read() == b"installed"
        page = node.gateway("/")
        page.add_header("Accept", "text/html")
        with urllib.request.urlopen(page) as answer:
            assert f"Pinfold {VERSION}" in answer.read().decode()
