"""The documentation is tested: commands, settings and routes are mentioned; CI runs the README's commands."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest
from aiohttp import web
from support.node import running_node
from test_architecture import ROOMS, WORDS

from node.cli.main import COMMANDS, cli
from node.config import config
from node.http.gateway.app import gateway_app
from node.http.pinning.app import pinning_app
from node.http.rest.app import cluster_app
from node.http.rpc.app import COMMANDS as RPC_COMMANDS
from node.http.rpc.app import rpc_app
from node.version import VERSION

ROOT = Path(__file__).parent.parent
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


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


def test_every_option_is_described() -> None:
    page = _page("docs/commands.md")
    options = [
        (name, option.opts)
        for name, command in _commands()
        for option in command.params
        if isinstance(option, click.Option)
    ]
    assert options
    assert [(name, opts) for name, opts in options if not any(opt in page for opt in opts)] == []


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
    broken = [
        f"{page.relative_to(ROOT)}: {link}"
        for page in PAGES
        for link in re.findall(r"\]\(([^):]+)\)", page.read_text())
        if not _leads_somewhere(page, link)
    ]
    assert broken == []


def _leads_somewhere(page: Path, link: str) -> bool:
    name, _, heading = link.partition("#")
    target = page.parent / name if name else page
    if not heading:
        return target.exists()
    titles = re.findall(r"^#+ (.+)$", target.read_text(), re.MULTILINE) if target.is_file() else []
    return heading in [title.lower().replace(" ", "-") for title in titles]


def test_every_page_is_linked_from_the_readme() -> None:
    readme = _page("README.md")
    pages = [str(page.relative_to(ROOT)) for page in PAGES if page.parent in (ROOT, ROOT / "docs")]
    assert len(pages) > 8
    assert [name for name in pages if f"]({name})" not in readme and name != "README.md"] == []


def test_the_readme_opens_with_a_picture_of_what_one_gets() -> None:
    before = _page("README.md").partition("![")[0]
    assert len(before.splitlines()) < 8


def test_every_picture_is_shown_somewhere() -> None:
    shown = {
        name for page in PAGES for name in re.findall(r"images/([a-z-]+\.png)\)", page.read_text("utf-8"))
    }
    assert shown == {file.name for file in (ROOT / "docs" / "images").iterdir()}


def test_commands_that_pages_tell_people_to_type_exist() -> None:
    known = {name for name, _ in _commands()} | set(COMMANDS)
    lines = [(page.name, line) for page in PAGES for line in _typed(page.read_text("utf-8"))]
    assert len(lines) > 50
    wrong = [f"{page}: {line}" for page, line in lines if not _is_a_command(line, known)]
    assert wrong == []


def _typed(text: str) -> Iterator[str]:
    """What stands behind `pinfold` in code, without options of the command itself."""
    fences = re.findall(r"^```\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    spans = re.findall(r"`([^`\n]+)`", text)
    indented = re.findall(r"^    (.+)$", text, re.MULTILINE)
    for line in (*"".join(fences).splitlines(), *spans, *indented):
        if found := re.match(r"(?:sudo -u pinfold )?pinfold (?:--(?:path \S+|debug|json) )*([a-z].*)", line):
            yield found[1]


def _is_a_command(line: str, known: set[str]) -> bool:
    words = line.split()
    return " ".join(words[:2]) in known or (words[0] in known and words[0] not in _GROUPS)


_GROUPS = {name.split()[0] for name, _ in _commands() if " " in name}


def test_the_tour_reaches_every_room() -> None:
    rooms = [str(path.parent.relative_to(ROOT)) for path in _sources() if path.name == "__init__.py"]
    tour = _page("docs/tour.md")
    assert len(rooms) > 20
    assert [room for room in rooms if f"`{room}/" not in tour] == []


@pytest.mark.parametrize("package", ROOMS)
def test_the_page_of_rooms_says_what_the_architecture_test_holds(package: str) -> None:
    section = _page("docs/architecture.md").partition(f"\n### `{package}/`\n")[2].partition("\n#")[0]
    rows = re.findall(r"^\| `(\S+)` \| (.*) \| (.*) \|$", section, re.MULTILINE)
    allowed = {_room(name): tuple(map(_room, re.findall(r"`(.+?)`", cell))) for name, _, cell in rows}
    assert list(allowed.items()) == [(room, row[0]) for room, row in ROOMS[package].items()]
    assert all(what for _, what, _ in rows)
    words = re.findall(r"^Words: (.+)\.$", section, re.MULTILINE)
    assert [*map(_room, re.findall(r"`(.+?)`", "".join(words)))] == [*WORDS[package]]


def _room(name: str) -> str:
    return name.removesuffix("/").removesuffix(".py")


def _walks() -> Iterator[tuple[str, list[str]]]:
    """Each walk of the tour: its title and its steps."""
    for walk in _page("docs/tour.md").split("\n## Walk ")[1:]:
        title, _, steps = walk.partition("\n")
        yield title, re.split(r"^\d+\. ", steps, flags=re.MULTILINE)[1:]


_FILE = re.compile(r"(back in )?`([\w/]+\.py)(?::[\w.]+)?`")


def test_a_step_of_a_walk_is_at_most_five_files_and_none_comes_back_without_saying_so() -> None:
    walks = dict(_walks())
    assert len(walks) == 3
    for title, steps in walks.items():
        left: set[str] = set()
        for number, step in enumerate(steps, 1):
            mentioned = _FILE.findall(step)
            files = {file for _, file in mentioned}
            again = {file for marked, file in mentioned if not marked} & left
            assert 0 < len(files) <= 5, f"{title}, step {number}: {sorted(files)}"
            assert not again, f"{title}, step {number} comes back: say why behind `back in`"
            left |= files


_SEAMS = (
    "bitswap/network.py", "blockstore/blocks.py", "blockstore/store.py", "cluster/interfaces.py",
    "cluster/ports.py",
)  # fmt: skip


def _glossary() -> list[tuple[str, str, str]]:
    rows = re.findall(r"^\| (.+?) \| (.+?) \| `(.+?)` \|$", _page("docs/glossary.md"), re.MULTILINE)
    assert len(rows) > 50
    return [(term, meaning, file) for terms, meaning, file in rows for term in terms.split(", ")]


def test_each_term_of_the_glossary_is_used_where_it_is_at_home() -> None:
    wrong = [
        f"{term}: {file}"
        for term, _, file in _glossary()
        if not (ROOT / file).is_file() or _letters(term) not in _letters(_page(file))
    ]
    assert wrong == []


def _letters(text: str) -> str:
    """However a term is spelt: in a sentence, as a class, as a name."""
    return re.sub(r"[^a-z]", "", text.lower())


def test_the_glossary_has_each_seam_between_packages_and_no_term_twice() -> None:
    page, terms = _page("docs/glossary.md"), [term for term, _, _ in _glossary()]
    seams = [name for file in _SEAMS for name in _protocols(ROOT / file)]
    assert len(seams) > 15
    assert [name for name in seams if f"`{name}`" not in page] == []
    assert sorted(terms) == sorted(set(terms))


def _protocols(file: Path) -> list[str]:
    classes = [node for node in ast.parse(file.read_text()).body if isinstance(node, ast.ClassDef)]
    return [node.name for node in classes if any("Protocol" in ast.unparse(base) for base in node.bases)]


def _mentioned_code() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for text in re.findall(r"`([\w./-]+\.py(?::[\w.]+)?|test_\w+)`", page.read_text()):
            yield str(page.relative_to(ROOT)), text


def test_files_and_names_that_pages_mention_exist() -> None:
    mentioned = list(_mentioned_code())
    assert len(mentioned) > 100
    assert [f"{page}: {text}" for page, text in mentioned if not _is_in_the_code(text)] == []


# of libraries and of Python
FOREIGN = {"BasicHost", "Exception", "PanicException"}
FILES = (".py", ".db", ".md", ".json", ".toml", ".key", ".secret")


def test_classes_and_functions_that_pages_mention_exist() -> None:
    """`Class`, `Class.method`, `module.function`, in the pages about our code (not decision 2)."""
    pages = [ROOT / "docs/architecture.md", ROOT / "docs/tour.md", *(ROOT / "docs/decisions").glob("*.md")]
    pages.remove(ROOT / "docs/decisions/0002-dependencies.md")
    allowed = {*_names_in_the_code(), *FOREIGN, *dict(config.keys())}
    unknown = [
        f"{page.name}: {name}"
        for page in pages
        for name in re.findall(r"`((?:[A-Z]\w+|\w+(?=\.\w+`))(?:\.\w+)?)(?:\(\))?`", page.read_text("utf-8"))
        if name not in allowed and not name.endswith(FILES)
    ]
    assert unknown == []


def _names_in_the_code() -> Iterator[str]:
    for path in _sources():
        for name in _names(path):
            yield name
            yield f"{path.stem}.{name}"


def _sources() -> list[Path]:
    folders = ("blockstore", "bitswap", "cluster", "node")
    return [path for folder in folders for path in (ROOT / folder).rglob("*.py")]


def _is_in_the_code(text: str) -> bool:
    file, _, name = text.partition(":")
    paths = _files(file if file.endswith(".py") else f"{file}.py")
    return any(not name or name in _names(path) for path in paths)


def _files(name: str) -> list[Path]:
    """A path from the root, or a bare file name, which may be anywhere."""
    if "/" in name:
        return [ROOT / name] if (ROOT / name).is_file() else []
    folders = ("blockstore", "bitswap", "cluster", "node", "packaging", "tests")
    return [path for folder in folders for path in (ROOT / folder).rglob(name)]


@cache
def _names(path: Path) -> frozenset[str]:
    return frozenset(_defined(ast.parse(path.read_text()), ""))


def _defined(node: ast.Module | ast.ClassDef, prefix: str) -> Iterator[str]:
    for child in node.body:
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield prefix + child.name
        if isinstance(child, ast.AnnAssign) and isinstance(child.target, ast.Name):
            yield prefix + child.target.id
        if isinstance(child, ast.ClassDef):
            yield from _defined(child, f"{prefix}{child.name}.")


async def _routes(folder: Path) -> list[str]:
    """Every route of every listener, as docs/http.md has it: without a method where any is answered."""
    async with running_node(folder) as node:
        apps = [gateway_app(node.parts), cluster_app(node.parts), rpc_app(node.parts)]
        pinning = pinning_app(node.parts)  # whose paths are those of the cluster REST API, too
    found = {route for app in apps for route in _of_app(app)}
    return [*found, *(f"`/api/v0/{command}`" for command in RPC_COMMANDS), *_of_app(pinning)]


def _of_app(app: web.Application) -> set[str]:
    return {_written(route) for route in app.router.routes() if route.method != "HEAD"}


def _written(route: web.AbstractRoute) -> str:
    assert route.resource is not None
    method = "" if route.method == "*" else f"{route.method} "
    return f"`{method}{route.resource.canonical}`"


async def test_every_route_is_described_and_every_described_route_exists(tmp_path: Path) -> None:
    routes = await _routes(tmp_path / "node")
    rows = re.findall(r"^\| (`(?:[A-Z]+ )?/[^`]*`) \|", _page("docs/http.md"), re.MULTILINE)
    assert sorted(rows) == sorted(routes)


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads(_page("pyproject.toml"))["project"]
    table = [line for line in _page("docs/decisions/0002-dependencies.md").splitlines() if line[:1] == "|"]
    choices = " ".join(line.split("|")[2] for line in table).lower()
    names = [re.split(r"[<>=;\[ ]", requirement)[0] for requirement in project["dependencies"]]
    assert names
    assert [name for name in names if not re.search(rf"\b{name}\b", choices)] == []


def test_every_benchmark_is_listed() -> None:
    opening = _page("docs/benchmarks.md").partition("## Method")[0]
    names = re.findall(r'^    "([a-z-]+)": ', _page("benchmarks/__main__.py"), re.MULTILINE)
    assert len(names) > 5
    assert [name for name in names if f"`{name}`" not in opening] == []


def test_lines_of_the_log_that_pages_show_come_from_files_that_exist() -> None:
    shown = [name for page in PAGES for name in re.findall(r"Z [A-Z]+ ([a-z_.]+): ", page.read_text("utf-8"))]
    assert shown
    assert [name for name in shown if not (ROOT / f"{name.replace('.', '/')}.py").is_file()] == []


def test_each_decision_has_a_number_of_its_own() -> None:
    pages = sorted((ROOT / "docs" / "decisions").iterdir())
    numbers = [int(page.name[:4]) for page in pages]
    assert len(numbers) >= 4
    assert len(set(numbers)) == len(numbers)
    for number, page in zip(numbers, pages, strict=True):
        assert page.name.startswith(f"{number:04}-")
        assert page.read_text().startswith(f"# {number}. ")


def test_the_changelog_has_the_version_behind_what_is_unreleased() -> None:
    assert re.findall(r"^## (.+)$", _page("CHANGELOG.md"), re.MULTILINE)[:2] == ["Unreleased", VERSION]


def test_the_changelog_says_first_what_operators_have_to_do() -> None:
    unreleased = _page("CHANGELOG.md").partition("## Unreleased")[2].partition("\n## ")[0]
    assert re.findall(r"^### (.+)$", unreleased, re.MULTILINE) == ["Changed", "Added", "Fixed"]
    changed = unreleased.partition("### Changed")[2].partition("### Added")[0]
    assert "*To do" in changed
    assert "*To do" not in unreleased.replace(changed, "")


def test_ci_runs_what_the_readme_tells_people_to_run() -> None:
    script = _page(".ci/run")
    assert "make test" in _page("README.md")
    assert [
        step
        for step in ("make check", "make test", "make browser", "make interop", "make binary")
        if step not in script
    ] == []


def test_no_page_or_file_names_a_machine_or_a_registry() -> None:
    hosts = ["pypi" + ".org", "proxy.golang" + ".org", "registry.npmjs" + ".org", "files.python" + "hosted"]
    words = [r"(?<!\w)/(root|work)/", *map(re.escape, hosts)]  # a content path may have such a segment inside
    files = [path for path in ROOT.rglob("*") if path.is_file() and _is_ours(path)]
    found = [
        f"{path.relative_to(ROOT)}: {word}"
        for path in files
        for word in words
        if re.search(word, path.read_text("utf-8", "replace"))
    ]
    assert found == []


_HIDDEN = (".ci", ".editorconfig", ".gitignore", ".pre-commit-config.yaml")  # of the hidden ones, ours


def _is_ours(path: Path) -> bool:
    parts = path.relative_to(ROOT).parts
    return (
        (not parts[0].startswith(".") or parts[0] in _HIDDEN)
        and parts[0] not in ("build", "dist")
        and not parts[0].endswith(".egg-info")
        and "__pycache__" not in parts
    )
