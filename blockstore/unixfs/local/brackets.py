"""Bracket expressions of gitignore, `[!a-c]`, `[[:alpha:]]` and `[]x]`, as git reads them (wildmatch.c).

pathspec writes them into regular expressions as they stand, where classes and escapes mean something else. So
it is given a character in the place of each, and the character is replaced in what it made.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_FIRST_STAND_IN = 0xF0000  # a plane for private use: a rule is refused that has such characters itself
_CLASSES = {
    "alnum": "0-9A-Za-z", "alpha": "A-Za-z", "blank": r" \t", "cntrl": r"\x00-\x1f\x7f", "digit": "0-9",
    "graph": "!-~", "lower": "a-z", "print": " -~", "punct": r"!-/:-@\[-`{-~", "space": r" \t\n\r\f\v",
    "upper": "A-Z", "xdigit": "0-9A-Fa-f",
}  # fmt: skip


def without_brackets(pattern: str) -> tuple[str, Mapping[str, str]]:
    """The pattern with a character in each bracket's place, and the regular expression of each character.

    What is not closed stays. Raises ValueError for a class that there is not, and for such characters.
    """
    if any(ord(char) >= _FIRST_STAND_IN for char in pattern):
        raise ValueError("characters for private use")
    found: dict[str, str] = {}
    out, at = "", 0
    while at < len(pattern):
        end = _end(pattern, at) if pattern[at] == "[" else 0
        if end and "/" not in pattern[at:end]:
            stand_in = chr(_FIRST_STAND_IN + len(found))
            found[stand_in] = _expression(pattern[at + 1 : end - 1])
            out, at = out + stand_in, end
        else:
            step = 2 if pattern[at] == "\\" else 1
            out, at = out + pattern[at : at + step], at + step
    return out, found


def _end(pattern: str, start: int) -> int:
    """Behind the bracket that closes; 0 where none does."""
    at = start + 1 + (pattern[start + 1 : start + 2] in ("!", "^"))
    first = at
    while at < len(pattern):
        if pattern[at] == "]" and at > first:
            return at + 1
        named = _CLASS.match(pattern, at)
        at = named.end() if named else at + (2 if pattern[at] == "\\" else 1)
    return 0


_CLASS = re.compile(r"\[:([^\]]*):\]")
_ITEM = re.compile(r"(?P<low>\\?.)(?:-(?P<high>\\?.))?", re.DOTALL)


def _expression(inside: str) -> str:
    negated = inside[0] in "!^"
    members, at = "", int(negated)
    while at < len(inside):
        if named := _CLASS.match(inside, at):
            members, at = members + _class(named[1]), named.end()
        else:
            item = _ITEM.match(inside, at)
            assert item is not None  # it takes any character
            members, at = members + _range(item["low"], item["high"]), item.end()
    if negated:
        return f"[^/{members}]"
    return f"(?!/)[{members}]" if members else "(?!)"


def _class(name: str) -> str:
    if name not in _CLASSES:
        raise ValueError(f"[:{name}:]")
    return _CLASSES[name]


def _range(low: str, high: str | None) -> str:
    """Empty where it ends before it begins. A backslash makes the next character one like others."""
    first, last = low[-1], (high or low)[-1]
    return f"{re.escape(first)}-{re.escape(last)}" if first <= last else ""
