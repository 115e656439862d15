"""The import table of docs/architecture.md, as a test: folders are the architecture."""

from __future__ import annotations

import ast
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OURS = ("blockstore", "bitswap", "cluster", "node")

# package -> what of ours it may import, and why nothing else
MAY_IMPORT = {
    "blockstore": (("blockstore",), "blockstore knows bytes, and nobody above it"),
    "bitswap": (("bitswap", "blockstore"), "bitswap moves bytes; who is to hold them is not its business"),
    "cluster": (
        ("cluster", "blockstore.cid", "blockstore.common"),
        "cluster decides by name; it never sees a block. Tasks and their guard are everybody's tools",
    ),
    "node": (OURS, "node puts the others together"),
}
# library -> the only places that may import it, and why
CONFINED = {
    "trio": (("node/p2p/",), "trio lives in one thread behind node/p2p"),
    "libp2p": (("node/p2p/",), "libp2p is a supplier behind one class"),
    "multiaddr": (("node/p2p/",), "addresses are text above node/p2p"),
    "aiohttp": (
        ("node/http/", "node/retrieval/"),
        "aiohttp serves at the faces and asks gateways; the command line has h11",
    ),
    "pycrdt": (("cluster/pinset/document.py",), "the replicated state is isolated behind one file"),
    "sqlite3": (
        (
            "blockstore/sqlite/database.py",
            "blockstore/sqlite/store.py",
            "blockstore/sqlite/statements.py",
            "blockstore/sqlite/cached_rows.py",
            "blockstore/sqlite/capacity.py",
            "blockstore/sqlite/row_checks.py",
            "blockstore/sqlite/spare.py",
            "blockstore/sqlite/pinned_roots.py",
            "blockstore/sqlite/completion.py",
            "cluster/pinset/store.py",
            "cluster/tracking/attempt_store.py",
            "node/names/record_store.py",
        ),
        "only store files know that data lies in SQLite",
    ),
    "dns": (("node/names/resolver.py",), "one file asks the DNS"),
    "multipart": (("node/http/uploads/multipart.py",), "one file bounds what an upload may say of itself"),
    "dag_cbor": (("cluster/common/cross_check.py",), "it is slow: only small signed values are read by it"),
    "multiformats": (("blockstore/ipld/multicodecs.py",), "it takes 0.2 s to import: one file does, late"),
    "aiosqlite": (("blockstore/sqlite/database.py",), "one file owns connections and their threads"),
}
# the layers of the gateway: each may import those before it; the files beside them may import all
LAYERS = ("hosts", "paths", "pages", "replies", "formats")


def _sources() -> list[Path]:
    return [file for package in OURS for file in sorted((ROOT / package).rglob("*.py"))]


@cache
def _imports(file: Path) -> tuple[str, ...]:
    names: list[str] = []
    for item in ast.walk(ast.parse(file.read_text())):
        if isinstance(item, ast.Import):
            names += (alias.name for alias in item.names)
        elif isinstance(item, ast.ImportFrom):
            assert item.level == 0, f"{file}: relative imports hide which package is meant"
            names.append(item.module or "")
    return tuple(names)


def _within(module: str, allowed: tuple[str, ...]) -> bool:
    return any(module == name or module.startswith(name + ".") for name in allowed)


@pytest.mark.parametrize("package", OURS)
def test_a_package_imports_only_what_the_table_allows(package: str) -> None:
    allowed, reason = MAY_IMPORT[package]
    broken = [
        f"{file.relative_to(ROOT)} imports {module}"
        for file in sorted((ROOT / package).rglob("*.py"))
        for module in _imports(file)
        if _within(module, OURS) and not _within(module, allowed)
    ]
    assert not broken, f"{reason}: {broken}"


@pytest.mark.parametrize("library", CONFINED)
def test_a_supplier_is_imported_only_behind_its_seam(library: str) -> None:
    places, reason = CONFINED[library]
    broken = [
        str(file.relative_to(ROOT))
        for file in _sources()
        if any(_within(module, (library,)) for module in _imports(file))
        and not str(file.relative_to(ROOT)).startswith(places)
    ]
    assert not broken, f"{reason}: {broken}"


@pytest.mark.parametrize("library", CONFINED)
def test_no_place_may_import_a_supplier_that_it_does_without(library: str) -> None:
    using = [
        str(file.relative_to(ROOT))
        for file in _sources()
        if any(_within(module, (library,)) for module in _imports(file))
    ]
    idle = [place for place in CONFINED[library][0] if not any(path.startswith(place) for path in using)]
    assert not idle, "a permission that is left over says something false of the folders"


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_of_the_gateway_imports_only_what_is_below_it(layer: str) -> None:
    gateway = "node.http.gateway"
    allowed = tuple(f"{gateway}.{name}" for name in LAYERS[: LAYERS.index(layer) + 1])
    broken = [
        f"{file.relative_to(ROOT)} imports {module}"
        for file in sorted((ROOT / "node/http/gateway" / layer).glob("*.py"))
        for module in _imports(file)
        if _within(module, (gateway,)) and not _within(module, allowed)
    ]
    assert not broken, f"a request goes down through {LAYERS[::-1]}, and nothing calls back up: {broken}"


def test_packaging_never_becomes_a_python_package() -> None:
    assert not (ROOT / "packaging" / "__init__.py").exists(), "it would shadow the PyPI module `packaging`"


def test_every_source_file_says_what_it_is() -> None:
    empty = [
        str(file.relative_to(ROOT))
        for file in _sources()
        if file.read_text().strip() and not ast.get_docstring(ast.parse(file.read_text()))
    ]
    assert not empty


def test_every_package_is_installed():
    """The list in pyproject.toml is written by hand: without one of them an installed wheel does not run."""
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    here = [
        ".".join(file.parent.relative_to(ROOT).parts)
        for top in OURS
        for file in (ROOT / top).rglob("__init__.py")
    ]
    assert sorted(listed) == sorted(here)
