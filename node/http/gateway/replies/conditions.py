"""Conditional requests (RFC 9110 section 13): against Etags, and against times where they are recorded."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC
from email.utils import formatdate, parsedate_to_datetime

Headers = Mapping[str, str]


def last_modified(mtime: tuple[int, int] | None) -> str | None:
    """Last-Modified of a recorded UnixFS time; None where no time is recorded.

    The epoch stands for "not recorded" in many archives, and a time to come is none that HTTP allows to send.
    """
    return formatdate(mtime[0], usegmt=True) if mtime and 0 < mtime[0] <= time.time() else None


def failed(asked: Headers, given: Headers) -> bool:
    """Whether the client wants only what it knows (If-Match, If-Unmodified-Since), and this is not it."""
    if (tags := asked.get("If-Match")) is not None:
        return not _same_strongly(tags, given["Etag"])
    since, modified = _seconds(asked.get("If-Unmodified-Since")), _seconds(given.get("Last-Modified"))
    return since is not None and modified is not None and modified > since


def known(asked: Headers, given: Headers) -> bool:
    """Whether the client has this content (If-None-Match, else If-Modified-Since)."""
    if (tags := asked.get("If-None-Match")) is not None:
        return matches(tags, given["Etag"])
    since, modified = _seconds(asked.get("If-Modified-Since")), _seconds(given.get("Last-Modified"))
    return since is not None and modified is not None and modified <= since


def parts_fit(asked: Headers, given: Headers) -> bool:
    """Whether a range of this content continues what the client has: If-Range names it, or is not there."""
    condition = asked.get("If-Range")
    if condition is None:
        return True
    if condition.lstrip().startswith(('"', "W/")):
        return _same_strongly(condition, given["Etag"])
    return condition.strip() == given.get("Last-Modified")


def matches(if_none_match: str, etag: str) -> bool:
    """Weak comparison with a list of tags, or `*` (section 13.1.2)."""
    wanted = etag.removeprefix("W/")
    tags = (tag.strip().removeprefix("W/") for tag in if_none_match.split(","))
    return any(tag in ("*", wanted) for tag in tags)


def _same_strongly(tags: str, etag: str) -> bool:
    """Weak tags are like no other (section 8.8.3.2)."""
    asked = {tag.strip() for tag in tags.split(",")}
    return "*" in asked or (not etag.startswith("W/") and etag in asked)


def _seconds(date: str | None) -> float | None:
    """Of an HTTP date, in each of its three forms; None for what is none, which is to be passed over."""
    if date is None:
        return None
    try:
        return parsedate_to_datetime(date).replace(tzinfo=UTC).timestamp()
    except (ValueError, OverflowError):
        return None
