"""How TLS of a listener fails; the text names the file."""

from __future__ import annotations

from node.errors import NodeError


class BadTlsFiles(NodeError):
    """A certificate and a key that cannot be used: missing, unreadable, or not of each other."""
