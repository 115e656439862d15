"""Text of strangers made safe to look at: nothing is invisible, and nothing reorders what is around it."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from unicodedata import category

_UNSEEN = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
_JOINERS = "\u200c\u200d"  # words of many scripts, and emoji, are written with them


def visible(text: str) -> str:
    """The text as HTML. Controls, bidirectional overrides and bytes that are not UTF-8 are spelled out."""
    return escape(text if text.isprintable() else spelled(text, _bracketed))


def spelled(text: str, spell: Callable[[int], str]) -> str:
    """The text with each character that is not to be seen as `spell` writes its code point."""
    return "".join(spell(ord(c)) if category(c) in _UNSEEN and c not in _JOINERS else c for c in text)


def _bracketed(code: int) -> str:
    return f"[0x{code - 0xDC00:02X}]" if 0xDC80 <= code <= 0xDCFF else f"[U+{code:04X}]"
