"""How settings are wrong."""

from __future__ import annotations


class BadConfig(Exception):
    """A setting that is unknown or does not fit; names the key and what it takes."""
