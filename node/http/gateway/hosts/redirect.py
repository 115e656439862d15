"""Redirect: what any step of an answer raises when the content is to be asked for at another URL."""

from __future__ import annotations


class Redirect(Exception):
    """`location` is a Location header's value: an absolute URL, or an absolute path of the same host."""

    def __init__(self, location: str, status: int = 301) -> None:
        """301 where the other URL is for good, 302 where it may change."""
        super().__init__(location)
        self.location = location
        self.status = status
