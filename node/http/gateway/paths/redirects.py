"""The `_redirects` file: rules of a site, read and matched (spec: web redirects file)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from node.http.gateway.hosts.target import URL_CHARACTERS
from node.names.name import quote_segment

NAME = "_redirects"
MAX_BYTES = 64 * 1024

MOVED = frozenset((301, 302, 303, 307, 308))
PAGES = frozenset((404, 410, 451))
_REWRITE = 200
_PLACEHOLDER = re.compile(r":([A-Za-z][A-Za-z0-9_]*)")
_SPLAT = "splat"
_PARSED = 32  # files that are remembered

Segments = tuple[str, ...]


class BadRedirects(Exception):
    """A file with a line that is no rule, or that is too large."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"could not parse _redirects: {reason}")


@dataclass(frozen=True, slots=True)
class Rule:
    """`source` are decoded segments: `:name` takes any one, `*` in the end all that are left."""

    source: Segments
    to: str
    status: int

    def match(self, path: Segments) -> str | None:
        """The rule's `to` with what the path has put in, escaped; None where it is not for this path."""
        found: dict[str, str] = {}
        fixed = self.source[:-1] if self.source[-1:] == ("*",) else self.source
        if len(path) < len(fixed) or (fixed is self.source and len(path) > len(fixed)):
            return None
        for wanted, segment in zip(fixed, path, strict=False):
            if wanted.startswith(":"):
                found[wanted[1:]] = quote_segment(segment)
            elif wanted != segment:
                return None
        if fixed is not self.source:
            found[_SPLAT] = "/".join(map(quote_segment, path[len(fixed) :]))
        return _PLACEHOLDER.sub(lambda match: found.get(match[1], match[0]), self.to)


@dataclass(frozen=True, slots=True)
class RedirectResult:
    """What a rule makes of a request: a URL for MOVED, the path of a file in the same site for the rest."""

    to: str
    status: int

    def location(self, query: str) -> str:
        """`to` with the query of the request; a name that both have keeps the request's value.

        What is no character of a URL becomes an escape: `to` is any text of a site's file.
        """
        url = urlsplit(self.to)
        if query and url.query:
            asked = {name for name, _ in parse_qsl(query, keep_blank_values=True)}
            own = [pair for pair in parse_qsl(url.query, keep_blank_values=True) if pair[0] not in asked]
            query = "&".join(filter(None, (urlencode(own), query)))
        location = url._replace(query=query or url.query).geturl()
        return quote(location.encode(errors="surrogateescape"), safe=URL_CHARACTERS)


def match(rules: tuple[Rule, ...], path: Segments) -> RedirectResult | None:
    """The first rule that is for this path."""
    for rule in rules:
        if (to := rule.match(path)) is not None:
            return RedirectResult(to, rule.status)
    return None


@lru_cache(_PARSED)
def parse(data: bytes) -> tuple[Rule, ...]:
    """`from to [status]` a line, `#` begins a comment. Raises BadRedirects."""
    if len(data) > MAX_BYTES:
        raise BadRedirects(f"redirects file size cannot exceed {MAX_BYTES} bytes")
    try:
        lines = data.decode().splitlines()
    except UnicodeDecodeError:
        raise BadRedirects("it is not UTF-8") from None
    return tuple(_rule(number, fields) for number, line in enumerate(lines, 1) if (fields := _fields(line)))


def _fields(line: str) -> list[str]:
    fields = line.split()
    comment = next((index for index, text in enumerate(fields) if text.startswith("#")), len(fields))
    return fields[:comment]


def _rule(number: int, fields: list[str]) -> Rule:
    if not 2 <= len(fields) <= 3:
        raise BadRedirects(f'line {number} does not match "from to [status]"')
    status = _status(number, fields[2]) if len(fields) == 3 else 301
    _check_to(number, fields[1], status)
    return Rule(_source(number, fields[0]), fields[1], status)


def _status(number: int, text: str) -> int:
    status = int(text) if re.fullmatch("[0-9]{3}", text) else 0
    if status != _REWRITE and status not in MOVED | PAGES:
        raise BadRedirects(f'line {number}: unsupported redirect status "{text[:32]}"')
    return status


def _source(number: int, text: str) -> Segments:
    if not text.startswith("/"):
        raise BadRedirects(f'line {number}: "{text[:100]}" does not begin with /')
    source = tuple(unquote(segment, errors="surrogateescape") for segment in text.split("/") if segment)
    names = [segment for segment in source if segment.startswith(":")]
    if len(set(names)) < len(names):
        raise BadRedirects(f'line {number}: "{text[:100]}" has a placeholder twice')
    if any("*" in segment for segment in source[:-1]) or ("*" in "".join(source[-1:]) and source[-1] != "*"):
        raise BadRedirects(f'line {number}: "{text[:100]}" has * elsewhere than as its last segment')
    return source


def _check_to(number: int, text: str, status: int) -> None:
    try:
        absolute = urlsplit(text).scheme in ("http", "https", "ipfs", "ipns")
    except ValueError:
        raise BadRedirects(f'line {number}: "{text[:100]}" is no URL') from None
    if not text.startswith("/") and not (absolute and status in MOVED):
        raise BadRedirects(f'line {number}: "{text[:100]}" is neither a path nor, for a redirect, a URL')
