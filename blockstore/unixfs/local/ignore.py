"""What a walk leaves out: patterns with the meaning that gitignore gives them.

Regular expressions are pathspec's. Which rule decides is ours: a rule speaks of one name along a path, since
a walk does not go into what is left out; that alone keeps what lies below.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from blockstore.common.text_file import BadText, decode_text, read_text
from blockstore.errors import BadImportOption, UnreadableFile
from blockstore.unixfs.local.brackets import without_brackets

FOLDER_FILE = ".ipfsignore"

_BLANKS_AT_END = re.compile(r"(?<!\\)[ \t]+$")


class BadIgnorePattern(BadImportOption):
    """A pattern that cannot be read, or would leave out nothing: its author counts on it."""


@dataclass(frozen=True, slots=True)
class _Rule:
    matches: re.Pattern[str]
    leaves_out: bool
    folders_only: bool

    def speaks_of(self, path: str, *, folder: bool) -> bool:
        if self.folders_only and not folder:
            return False
        found = self.matches.search(path)
        # This group is there where the rule names a folder above: the walk has asked for that one before.
        return found is not None and not found.groupdict().get("ps_d")


@dataclass(frozen=True, slots=True)
class IgnoreRules:
    """Rules in their order; the last one that speaks of a path decides."""

    rules: tuple[_Rule, ...] = ()

    @classmethod
    def of_lines(cls, lines: Iterable[str], source: str = "") -> IgnoreRules:
        """Lines of a file. Empty ones and comments are passed over. Raises BadIgnorePattern."""
        rules = (_rule(line, f"{source}, line {number}: ") for number, line in enumerate(lines, 1))
        return cls(tuple(rule for rule in rules if rule is not None))

    @classmethod
    def of_patterns(cls, patterns: Iterable[str]) -> IgnoreRules:
        """Patterns that were named one by one. Raises BadIgnorePattern, for a comment too."""
        return cls(tuple(_named_rule(pattern) for pattern in patterns))

    @classmethod
    def of_file(cls, path: str | Path) -> IgnoreRules:
        """Raises BadIgnorePattern, UnreadableFile."""
        try:
            text = read_text(path, errors="surrogateescape")
        except BadText as error:
            raise UnreadableFile(str(path), str(error)) from None
        except OSError as error:
            raise UnreadableFile(str(path), str(error.strerror)) from None
        return cls.of_lines(text.split("\n"), str(path))

    @classmethod
    def of_bytes(cls, data: bytes, source: str) -> IgnoreRules:
        """What a file holds. Names are bytes: rules may have those that are no UTF-8. Raises as `of_file`."""
        try:
            text = decode_text(data, errors="surrogateescape")
        except BadText as error:
            raise UnreadableFile(source, str(error)) from None
        return cls.of_lines(text.split("\n"), source)

    def __add__(self, later: IgnoreRules) -> IgnoreRules:
        return IgnoreRules(self.rules + later.rules)

    def leave_out(self, path: str, *, folder: bool) -> bool | None:
        """Whether `path`, relative to where the rules stand, is left out; None where no rule speaks of it."""
        path = path.replace("\n", "\0")  # a line end inside a name is a character like others
        for rule in reversed(self.rules):
            if rule.speaks_of(path, folder=folder):
                return rule.leaves_out
        return None


NO_RULES = IgnoreRules()


def seen_from(folder: str, patterns: Iterable[str]) -> Iterator[str]:
    """Of these patterns those that begin with the path of the folder, as they are said inside it."""
    for pattern in patterns:
        negation = "!" if pattern.startswith("!") else ""
        start, _, rest = pattern.removeprefix("!").removeprefix("./").partition(f"{folder}/")
        if not start and rest.strip("/"):
            yield f"{negation}/{rest}"


def _named_rule(pattern: str) -> _Rule:
    rule = None if "\n" in pattern else _rule(pattern, "")
    if rule is None:
        raise BadIgnorePattern(
            f'the pattern "{pattern}" leaves out nothing: it is empty, a comment, or not closed'
            " (a # or ! at its beginning is written \\# or \\!)"
        )
    return rule


def _rule(line: str, source: str) -> _Rule | None:
    from pathspec.patterns.gitignore.base import GitIgnorePatternError
    from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

    text = _BLANKS_AT_END.sub("", line)
    negation = "!" if text.startswith("!") else ""
    # "./build" is how a shell completes it; git would look for a folder named ".".
    body = re.sub(r"^(\./)+", "/", text.removeprefix("!"))
    body = re.sub(r"(?<!\\)\*{3,}", "**", body)  # git reads more than two as two
    folders_only = body.endswith("/") and not body.endswith("\\/")
    try:
        body, brackets = without_brackets(body.rstrip("/") if folders_only else body)
        pattern = GitIgnoreSpecPattern(negation + body)
    except (GitIgnorePatternError, ValueError):
        raise BadIgnorePattern(f'{source}the pattern "{line}" cannot be read') from None
    if pattern.include is None or not isinstance(pattern.regex, re.Pattern):
        return None
    expression = pattern.regex.pattern
    for stand_in, bracket in brackets.items():
        expression = expression.replace(stand_in, bracket)
    return _Rule(re.compile(expression), bool(pattern.include), folders_only)
