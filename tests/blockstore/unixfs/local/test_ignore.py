"""Patterns mean what gitignore says: a table, and git itself where it is installed."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from blockstore.errors import UnreadableFile
from blockstore.unixfs.importing.entries import SourceDirectory
from blockstore.unixfs.local.ignore import BadIgnorePattern, IgnoreRules
from blockstore.unixfs.local.walk import WalkRules, walk_local

FILES = (
    "keep", "build/secret", "build/keep", "src/m.js", "src/build/x", "src/foo/m.js", "src/foo/keep.txt",
    "foo/m.js", "foo/a/b/c.txt", "a b/x", "#x", "!x", "deep/er/build/y",
)  # fmt: skip


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "f"
    for name in FILES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    return root


async def taken(root: Path, *patterns: str, hidden: bool = False) -> set[str]:
    """The files below `root` that a walk takes."""
    rules = WalkRules(recursive=True, hidden=hidden, ignore=IgnoreRules.of_patterns(patterns))
    entries = [entry async for entry in walk_local([str(root)], rules)]
    return {entry.path[2:] for entry in entries if not isinstance(entry, SourceDirectory)}


@pytest.mark.parametrize(
    ("patterns", "gone"),
    [
        (["/build"], {"build/secret", "build/keep"}),
        (["./build"], {"build/secret", "build/keep"}),
        (["build/"], {"build/secret", "build/keep", "src/build/x", "deep/er/build/y"}),
        (["build/secret"], {"build/secret"}),
        (["src/build"], {"src/build/x"}),
        (["**/*.js"], {"src/m.js", "src/foo/m.js", "foo/m.js"}),
        (["*.js", "!foo"], {"src/m.js", "src/foo/m.js", "foo/m.js"}),  # no file is meant by "foo"
        (["*.js", "!/src/m.js"], {"src/foo/m.js", "foo/m.js"}),
        (["build", "!build/keep"], {"build/secret", "build/keep", "src/build/x", "deep/er/build/y"}),
        (["build/*", "!build/keep"], {"build/secret"}),
        (["foo/**", "!foo/m.js"], {"foo/a/b/c.txt"}),
        (["deep/**/y"], {"deep/er/build/y"}),
        (["m.js/"], set()),
        (["a b"], {"a b/x"}),
        (["\\#x", "\\!x"], {"#x", "!x"}),
        (["[km]*"], {"keep", "src/m.js", "build/keep", "src/foo/m.js", "src/foo/keep.txt", "foo/m.js"}),
    ],
)
async def test_patterns_mean_what_gitignore_says(tree: Path, patterns: list[str], gone: set[str]) -> None:
    assert set(FILES) - await taken(tree, *patterns) == gone


async def test_names_that_are_no_utf8_or_have_line_ends_are_left_out_too(tmp_path: Path) -> None:
    root = tmp_path / "f"
    (root / "in").mkdir(parents=True)
    for name in (b"caf\xe9", b"a\nb", b"in/x\ny"):
        (root / os.fsdecode(name)).write_text("x")
    assert await taken(root, os.fsdecode(b"caf\xe9"), "a*b", "in/**") == set()


async def test_ignore_files_stand_where_they_lie_and_the_innermost_decides(tree: Path) -> None:
    (tree / ".ipfsignore").write_bytes(b"\xef\xbb\xbf# comment\r\n/keep\r\n*.js\r\nbuild/\r\n")
    (tree / "src" / ".ipfsignore").write_text("!m.js\n/foo/m.js\n")
    left = await taken(tree)
    assert set(FILES) - left == {
        "keep", "build/secret", "build/keep", "src/build/x", "deep/er/build/y", "foo/m.js", "src/foo/m.js",
    }  # fmt: skip
    assert "src/m.js" not in await taken(tree, "*.js")
    assert ".ipfsignore" in await taken(tree, hidden=True)
    everything = WalkRules(recursive=True, folder_files=False)
    entries = [entry async for entry in walk_local([str(tree)], everything)]
    assert set(FILES) <= {entry.path[2:] for entry in entries}


async def test_an_ignore_file_that_cannot_be_read_ends_the_walk(tree: Path) -> None:
    """Better nothing is published than what was to stay private."""
    rules = tree / ".ipfsignore"
    rules.write_bytes("build/\n".encode("utf-16"))
    with pytest.raises(UnreadableFile, match=r"\.ipfsignore.*UTF-16"):
        await taken(tree)
    rules.unlink()
    os.mkfifo(rules)
    with pytest.raises(UnreadableFile, match="not a plain file"):
        await taken(tree)
    rules.unlink()
    rules.write_text("fine\nx\\\n")
    with pytest.raises(BadIgnorePattern, match="line 2"):
        await taken(tree)


@pytest.mark.parametrize("pattern", ["", "  ", "#x", "a[", "/", "!", "x\\", "a\nb"])
def test_a_pattern_that_would_leave_out_nothing_is_refused(pattern: str) -> None:
    with pytest.raises(BadIgnorePattern):
        IgnoreRules.of_patterns([pattern])


@pytest.mark.parametrize(
    ("pattern", "left_out"),
    [
        ("[[:alpha:]]", "aZ"), ("[![:alpha:]]", "1]-\\[^:!é"), ("[[:digit:][:upper:]]", "1Z"),
        ("[]1]", "]1"),
        ("[!]]", "a1Z-\\[^:!é"), ("[\\]]", "]"), ("[\\-a]", "-a"), ("[a\\]-]", "a]-"),
        ("[--1]", "-1"), ("[[]", "["),
        ("[^^]", "a1Z]-\\[:!é"), ("[:a:]", ":a"), ("[z-a1]", "1"), ("[[:punct:]]", "]-\\[^:!"),
        ("[à-ü]", "é"),
        ("[[a]", "[a"), ("[a-\\]]", ""), ("[\\\\]", "\\"),
    ],
)  # fmt: skip
def test_brackets_mean_what_git_reads_in_them(pattern: str, left_out: str) -> None:
    rules = IgnoreRules.of_patterns([pattern])
    assert "".join(name for name in "a1Z]-\\[^:!é" if rules.leave_out(name, folder=False)) == "".join(
        name for name in "a1Z]-\\[^:!é" if name in left_out
    )


@pytest.mark.parametrize("pattern", ["[[:nosuch:]]", "[a[:ALPHA:]]", "x\U000f0000"])
def test_a_bracket_that_git_would_match_with_nothing_is_refused(pattern: str) -> None:
    with pytest.raises(BadIgnorePattern):
        IgnoreRules.of_patterns([pattern])


WORDS = (
    "a",
    "b",
    "ab",
    "*",
    "a*",
    "?",
    "**",
    "***",
    "[ab]",
    "[!a]",
    "[[:alpha:]]",
    "[]a]",
    "[\\]b]",
    "a/",
    "/a",
    "b",
)


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not here")
async def test_random_patterns_leave_out_what_git_leaves_out(tmp_path: Path) -> None:
    chance = random.Random(8)
    root = tmp_path / "f"
    names = [f"{x}/{y}/{z}" for x in ("a", "b", "ab") for y in ("a", "b") for z in ("a", "b", "ba")]
    for name in [*names, "ba", "a/bb", "b/ab"]:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x")
    environment = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", "-C", str(root), *arguments], env=environment, capture_output=True)
        return done.stdout.decode()

    git("init", "-q")
    for _ in range(60):
        lines = [
            chance.choice(("", "", "!")) + "/".join(chance.choice(WORDS) for _ in range(chance.randint(1, 3)))
            for _ in range(chance.randint(1, 4))
        ]
        (root / ".ignoring").write_text("\n".join(lines) + "\n")
        theirs = set(git("ls-files", "-o", "--exclude-from=.ignoring").splitlines()) - {".ignoring"}
        rules = WalkRules(recursive=True, ignore=IgnoreRules.of_file(root / ".ignoring"))
        entries = [entry async for entry in walk_local([str(root)], rules)]
        ours = {entry.path[2:] for entry in entries if not isinstance(entry, SourceDirectory)}
        assert ours == theirs, lines


async def test_a_pattern_that_names_the_folder_as_the_user_did_is_meant_from_there(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tree.parent)
    for folder, pattern in (
        ("f", "f/build"),
        ("./f/", "./f/build/"),
        (str(tree), f"{tree}/build"),
        ("f", "f/build/*"),
    ):
        rules = WalkRules(recursive=True, ignore=IgnoreRules.of_patterns([pattern]), patterns=(pattern,))
        entries = [entry async for entry in walk_local([folder], rules)]
        names = {entry.path[2:] for entry in entries if not isinstance(entry, SourceDirectory)}
        assert set(FILES) - names == {"build/secret", "build/keep"}, pattern
