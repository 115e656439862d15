"""Entity tags: content addresses make perfect ones."""

from __future__ import annotations


def matches(if_none_match: str | None, etag: str) -> bool:
    """Weak comparison with a list of tags, or `*` (RFC 9110 section 13.1.2)."""
    if if_none_match is None:
        return False
    wanted = etag.removeprefix("W/")
    tags = (tag.strip().removeprefix("W/") for tag in if_none_match.split(","))
    return any(tag in ("*", wanted) for tag in tags)
