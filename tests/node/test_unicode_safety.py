"""Nothing that others chose is invisible or reorders what is around it."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.unicode_safety import spelled


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain näme 日本.txt", "plain näme 日本.txt"),
        ("a\x1b[31m\x07\r\n\t\x7f\x9b", "a[U+001B][31m[U+0007][U+000D][U+000A][U+0009][U+007F][U+009B]"),
        ("photo\u202egnp.exe", "photo[U+202E]gnp.exe"),
        ("\u2066x\u2069\u200e\u061c", "[U+2066]x[U+2069][U+200E][U+061C]"),
        ("zero\u200bwidth\ufeff\u00ad\u2060", "zero[U+200B]width[U+FEFF][U+00AD][U+2060]"),
        ("pay\u200dpal \u200c", "pay[U+200D]pal [U+200C]"),
        ("می‌خواهم 👩‍👩‍👧", "می‌خواهم 👩‍👩‍👧"),
        ("\u3164\u115f\u2800", "[U+3164][U+115F][U+2800]"),
        ("\U000e0041", "[U+E0041]"),
        (b"caf\xe9".decode(errors="surrogateescape"), "caf[0xE9]"),
        ("\ud800", "[U+D800]"),
    ],
)
def test_what_hides_is_spelled_out(text: str, shown: str) -> None:
    assert spelled(text) == shown


@given(st.text(st.characters(exclude_categories=[]), max_size=30))
def test_no_text_makes_two_lines_or_a_control(text: str) -> None:
    shown = spelled(text)
    assert len(shown.splitlines()) <= 1
    assert not {unicodedata.category(c) for c in shown} & {"Cc", "Cs", "Zl", "Zp"}
    shown.encode()
