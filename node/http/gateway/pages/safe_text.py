"""Text of strangers in a page."""

from __future__ import annotations

from html import escape

from node.unicode_safety import spelled


def visible(text: str) -> str:
    """The text as HTML. Controls, bidirectional overrides and bytes that are not UTF-8 are spelled out."""
    return escape(spelled(text))
