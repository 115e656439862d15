"""Docstrings and comments name who acts: a caller, a peer, a member, a client, an operator."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("blockstore", "bitswap", "cluster", "node")
NAMELESS = re.compile(
    r"\b(?:anybody|everybody|nobody|somebody|someone|whoever|whomever|he|his|him|she|her)\b", re.IGNORECASE
)


def _prose(source: str) -> Iterator[tuple[int, str]]:
    """Every docstring, also one below a constant, and every comment, with its line."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Expr(value=ast.Constant(value=str(text))):
                yield node.lineno, text
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def _nameless(source: str) -> list[str]:
    return [f"{line}: {word}" for line, text in _prose(source) for word in NAMELESS.findall(text)]


@pytest.mark.parametrize("folder", FOLDERS)
def test_prose_names_the_actor(folder: str) -> None:
    found = [
        f"{file.relative_to(ROOT)}:{one}"
        for file in sorted((ROOT / folder).rglob("*.py"))
        for one in _nameless(file.read_text())
    ]
    assert not found, f"a reader has to guess who that is: {found}"


def test_a_nameless_actor_is_found_wherever_prose_stands() -> None:
    source = '''
"""Whoever reads this."""
LIMIT = 1
"""Nobody may have more."""
x = "nobody is text for users"  # he said so
def f():
    """The heir of his."""
'''
    assert sorted(_nameless(source)) == ["2: Whoever", "4: Nobody", "5: he", "7: his"]
