"""What can go wrong when a node is put together; the text is for the person at the keyboard."""

from __future__ import annotations


class NodeError(Exception):
    """Every error of this package that a user can cause and mend."""
