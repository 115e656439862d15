"""One `*.deny` file as far as it has been read: of what is appended, only that is read again."""

from __future__ import annotations

import codecs
import hashlib
import logging
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from blockstore.common.text_file import BadText, decode_text
from node.denylist.denylist import RuleSet
from node.denylist.errors import BadDenylist, BadRule
from node.denylist.rules import MAX_HEADER, MAX_LINE, header_is_legal, parse_rule

_SETTLED = 2.0  # seconds without a write, after which a last line without a line end counts
_PIECE = 1 << 20
_LOGGED = 10  # bad lines of one reading that are logged
_OTHER_ENCODINGS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, b"\0\0\xfe\xff")
_HEADER_END = re.compile(rb"^---\r*(?:\n|\Z)", re.MULTILINE)

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class DenylistFile:
    """One file as far as it has been read: whole lines up to `end`, and the digest of them."""

    path: Path
    rules: RuleSet
    legal: bool
    end: int = 0
    digest: bytes = b""
    modified: int = 0  # nanoseconds, as the file system has it

    @classmethod
    def read(cls, path: Path) -> DenylistFile:
        """Raises BadDenylist."""
        try:
            with path.open("rb") as file:
                found = cls(path, RuleSet(), header_is_legal(_header(file)))
                found._take(file)
        except (OSError, BadRule, BadText) as error:
            raise BadDenylist(f"the denylist {path} cannot be read: {error}") from None
        return found

    def refreshed(self) -> DenylistFile:
        """This one with what was appended, or another where the file was rewritten. Raises BadDenylist."""
        try:
            with self.path.open("rb") as file:
                stat = os.fstat(file.fileno())
                if (stat.st_size, stat.st_mtime_ns) == (self.end, self.modified):
                    return self
                if _digest(file, self.end) == self.digest:
                    self._take(file)
                    return self
        except OSError as error:
            raise BadDenylist(f"the denylist {self.path} cannot be read: {error}") from None
        return DenylistFile.read(self.path)

    def _take(self, file: BinaryIO) -> None:
        bad = 0
        self.modified = os.fstat(file.fileno()).st_mtime_ns
        settled = time.time() - self.modified / 1e9 > _SETTLED
        for line in _lines(file, settled):
            try:
                rule = parse_rule(line.decode(), self.legal)
            except ValueError as error:
                bad += 1
                if bad <= _LOGGED:
                    _log.warning("%s: a line is passed over: %s", self.path, error)
                continue
            if rule is not None:
                self.rules.add(rule)
        self.end = file.tell()
        self.digest = _digest(file, self.end)
        if bad > _LOGGED:
            _log.warning("%s: %d more lines are passed over", self.path, bad - _LOGGED)


def _header(file: BinaryIO) -> str:
    """What stands before the line `---`; empty, and the file at its first line again, where there is none.

    Raises BadText for another encoding than UTF-8: each of its lines would be passed over as a bad one.
    """
    head = file.read(MAX_HEADER)
    if head.startswith(_OTHER_ENCODINGS):
        decode_text(head)
    end = _HEADER_END.search(head)
    first = len(codecs.BOM_UTF8) if head.startswith(codecs.BOM_UTF8) else 0
    file.seek(end.end() if end else first)
    return head[first : end.start()].decode(errors="replace") if end else ""


def _lines(file: BinaryIO, settled: bool) -> Iterator[bytes]:
    """Whole lines; the file stands behind the last of them. A line that is too long is one bad byte."""
    while line := file.readline(MAX_LINE + 1):
        if not line.endswith(b"\n"):
            if len(line) <= MAX_LINE and not settled:
                file.seek(-len(line), os.SEEK_CUR)  # it is still being written
                return
            if len(line) > MAX_LINE:
                _skip_line(file)
                line = b"\xff"
        yield line


def _skip_line(file: BinaryIO) -> None:
    while (rest := file.readline(MAX_LINE)) and not rest.endswith(b"\n"):
        continue


def _digest(file: BinaryIO, size: int) -> bytes:
    """Of the first `size` bytes, behind which the file then stands."""
    digest = hashlib.sha256()
    file.seek(0)
    while size > 0 and (piece := file.read(min(size, _PIECE))):
        digest.update(piece)
        size -= len(piece)
    return digest.digest()
