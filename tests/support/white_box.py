"""Finds where a test reaches into what it tests: private names of objects and modules, and patched globals.

A line that must do it says why, behind `# white box:`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

_OF_NAMED_TUPLES = ("_asdict", "_fields", "_make", "_replace")
"""Public all the same: the underscore keeps them apart from the names of fields."""

_REASON = re.compile(r"# white box: \w")


def reaches(file: Path, root: Path, ours: tuple[str, ...]) -> list[str]:
    """Each place without a reason, as "line: what". `ours`: the packages below `root` that are tested."""
    text = file.read_text()
    nodes, lines = list(ast.walk(ast.parse(text))), text.splitlines()
    modules = set(_modules(nodes, root, ours))
    found = [*_private(nodes), *_patched(nodes, modules, ours)]
    return [f"{line}: {what}" for line, what in found if not _REASON.search(lines[line - 1])]


def _private(nodes: list[ast.AST]) -> Iterator[tuple[int, str]]:
    for item in nodes:
        if isinstance(item, ast.Attribute) and _is_private(item.attr) and not _is_own(item.value):
            yield item.lineno, ast.unparse(item)
        elif isinstance(item, ast.ImportFrom):
            yield from ((item.lineno, alias.name) for alias in item.names if _is_private(alias.name))


def _patched(nodes: list[ast.AST], modules: set[str], ours: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    """Globals of our modules that are set, by a call or by an assignment."""
    for item in nodes:
        if isinstance(item, ast.Call):
            patches = ast.unparse(item.func).endswith(("setattr", "delattr", "patch"))
            found = patches and bool(item.args) and _is_module(item.args[0], modules, ours)
        elif isinstance(item, ast.Attribute):
            found = isinstance(item.ctx, ast.Store | ast.Del) and _is_module(item.value, modules, ours)
        else:
            continue
        if found:
            yield item.lineno, ast.unparse(item)


def _modules(nodes: list[ast.AST], root: Path, ours: tuple[str, ...]) -> Iterator[str]:
    """The names that modules of ours have in that file."""
    for item in nodes:
        if isinstance(item, ast.ImportFrom) and (item.module or "").partition(".")[0] in ours:
            folder = root / (item.module or "").replace(".", "/")
            for alias in item.names:
                if (folder / f"{alias.name}.py").exists() or (folder / alias.name).is_dir():
                    yield alias.asname or alias.name
        elif isinstance(item, ast.Import):
            yield from (alias.asname for alias in item.names if alias.asname and alias.name.startswith(ours))


def _is_module(target: ast.expr, modules: set[str], ours: tuple[str, ...]) -> bool:
    if isinstance(target, ast.Constant) and isinstance(target.value, str):
        return target.value.partition(".")[0] in ours
    return isinstance(target, ast.Name) and target.id in modules


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name not in _OF_NAMED_TUPLES


def _is_own(value: ast.expr) -> bool:
    return isinstance(value, ast.Name) and value.id in ("self", "cls")
