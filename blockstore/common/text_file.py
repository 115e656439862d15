"""Text files that people write with editors of their own, on systems of their own."""

from __future__ import annotations

import codecs
import os
import stat
from pathlib import Path

MAX_TEXT_BYTES = 16 * 1024 * 1024

# The longer ones first: UTF-32 begins as UTF-16 does.
_OTHER_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)


class BadText(ValueError):
    """Bytes that are no text in UTF-8; says what they look like and what to do."""


def read_text(path: str | Path, *, errors: str = "strict") -> str:
    """The text of a file, symlinks followed, by `decode_text`.

    Raises BadText, also for what is no plain file or above 16 MiB, and OSError.
    """
    # Without O_NONBLOCK a pipe that took the file's name would be waited for.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise BadText("it is not a plain file")
        data = file.read(MAX_TEXT_BYTES + 1)
    if len(data) > MAX_TEXT_BYTES:
        raise BadText(f"it has more than {MAX_TEXT_BYTES} bytes")
    return decode_text(data, errors=errors)


def decode_text(data: bytes, *, errors: str = "strict") -> str:
    """UTF-8 with or without a byte order mark, lines ended by LF, CR LF or CR; in the text they end with LF.

    `errors` is as in `bytes.decode`. Raises BadText.
    """
    for mark, name in _OTHER_MARKS:
        if data.startswith(mark):
            raise BadText(f"it is {name}: save it as UTF-8")
    if b"\0" in data:
        raise BadText("it has NUL bytes in it, as UTF-16 has: save it as UTF-8")
    try:
        text = data.removeprefix(codecs.BOM_UTF8).decode(errors=errors)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BadText(
            f"line {line} is not UTF-8 (byte 0x{data[error.start]:02X}): save it as UTF-8"
        ) from None
    return text.replace("\r\n", "\n").replace("\r", "\n")
