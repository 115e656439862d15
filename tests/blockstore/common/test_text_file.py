"""Text as editors of other systems leave it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from blockstore.common.text_file import MAX_TEXT_BYTES, BadText, decode_text, read_text


@pytest.mark.parametrize("data", [b"a\nb\n", b"\xef\xbb\xbfa\nb\n", b"a\r\nb\r\n", b"\xef\xbb\xbfa\rb\r"])
def test_marks_and_line_ends_make_no_difference(data: bytes) -> None:
    assert decode_text(data) == "a\nb\n"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"])
def test_another_encoding_is_told_with_what_to_do(encoding: str) -> None:
    with pytest.raises(BadText, match=r"UTF-.*save it as UTF-8"):
        decode_text("port = 1\n".encode(encoding))


def test_a_byte_that_is_no_utf8_is_told_with_its_line_or_kept() -> None:
    with pytest.raises(BadText, match=r"line 2 is not UTF-8 \(byte 0xE9\)"):
        decode_text(b"fine\ncaf\xe9\n")
    assert os.fsencode(decode_text(b"caf\xe9", errors="surrogateescape")) == b"caf\xe9"


def test_symlinks_are_followed_and_what_is_no_plain_file_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("text")
    (tmp_path / "link").symlink_to("real")
    assert read_text(tmp_path / "link") == "text"
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path(os.devnull)):
        with pytest.raises(BadText, match="plain"):
            read_text(path)
    with pytest.raises(IsADirectoryError):
        read_text(tmp_path)
    with (tmp_path / "large").open("wb") as large:
        large.truncate(MAX_TEXT_BYTES + 1)
    with pytest.raises(BadText, match="more than"):
        read_text(tmp_path / "large")
