"""Text that others chose, made safe to show: nothing is invisible, and nothing reorders what is around it."""

from __future__ import annotations

import re
from collections.abc import Callable
from unicodedata import category

_UNSEEN = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
# Letters by their category that are drawn as nothing: joiners of graphemes, fillers, the empty Braille cell.
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
# Words of many scripts, and emoji, are written with joiners; between or beside ASCII they only hide.
_JOINED = re.compile("(?<=[^\x00-\x7f])[\u200c\u200d](?=[^\x00-\x7f])")


def bracketed(code: int) -> str:
    """`[U+202E]`, and `[0xE9]` for a byte that is no UTF-8."""
    return f"[0x{code - 0xDC00:02X}]" if 0xDC80 <= code <= 0xDCFF else f"[U+{code:04X}]"


def spelled(text: str, spell: Callable[[int], str] = bracketed) -> str:
    """The text with each character that is not to be seen as `spell` writes its code point."""
    if text.isprintable() and _BLANK.isdisjoint(text):
        return text
    kept = {match.start() for match in _JOINED.finditer(text)}
    return "".join(
        spell(ord(c)) if (category(c) in _UNSEEN or c in _BLANK) and place not in kept else c
        for place, c in enumerate(text)
    )
