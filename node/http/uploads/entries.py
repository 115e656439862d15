"""Upload → importer entries: Kubo's layout of multipart parts, which browsers' FormData is a subset of."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator
from dataclasses import replace

from aiohttp import web

from blockstore.unixfs.importing.entries import (
    Entry,
    LocalFile,
    Mtime,
    SourceDirectory,
    SourceFile,
    SourceSymlink,
)
from node.files.handed_files import Claim, UnknownTicket
from node.http.errors import BadRequest
from node.http.uploads.parts import DIRECTORY, SYMLINK, TICKET, Part, parts

# A mode comes as Go prints it, whose folders have bit 31.
_NUMBERS = {8: re.compile(r"0*[0-3]?[0-7]{1,10}"), 10: re.compile(r"-?[0-9]{1,18}", re.ASCII)}
_MAX_TARGET = 4096  # bytes of a symlink's target, as Linux has it


EXPECTED_BYTES = "Expected-Bytes"
"""A header of uploads in chunks: about how many bytes the content has."""


def expected_bytes(request: web.Request) -> int:
    """How many bytes an upload says that it has, in all; 0 where it does not. Raises BadRequest."""
    text = request.headers.get(EXPECTED_BYTES)
    if text is None:
        return request.content_length or 0
    if not re.fullmatch(r"[0-9]{1,18}", text, re.ASCII):
        raise BadRequest(f"header {EXPECTED_BYTES} invalid: a number of bytes")
    return int(text)


async def entries(request: web.Request, claim: Claim) -> AsyncIterator[Entry]:
    """`claim` finds the files that were handed over. Raises BadMultipart, BadRequest."""
    async for part in parts(request):
        yield await _handed(part, claim) if part.ticket else await _entry(part)


async def _handed(part: Part, claim: Claim) -> Entry:
    entry = await _entry(part)
    if not isinstance(entry, SourceFile):
        raise BadRequest(f"header {TICKET} invalid: {part.path} is no file")
    async for _ in part.body:
        raise BadRequest(f"header {TICKET} invalid: {part.path} has content of its own")
    try:
        file = claim(part.ticket)
    except UnknownTicket as error:
        raise BadRequest(f"header {TICKET} invalid: {error}") from None
    return replace(entry, body=LocalFile(entry.path, os.fstat(file.fileno()).st_size, file))


async def _entry(part: Part) -> Entry:
    path, mtime = part.path.strip("/"), _mtime(part.stamp)
    if part.kind == DIRECTORY:
        return SourceDirectory(path, mode=_mode(part.stamp), mtime=mtime)
    if part.kind == SYMLINK:
        return SourceSymlink(path, await _target(part), mtime=mtime)
    return SourceFile(path, part.body, mode=_mode(part.stamp), mtime=mtime)


async def _target(part: Part) -> str:
    target = b""
    async for piece in part.body:
        target += piece
        if len(target) > _MAX_TARGET:
            raise BadRequest(f'symlink "{part.path}" has a target above {_MAX_TARGET} bytes')
    return target.decode(errors="surrogateescape")


def _mode(stamp: dict[str, str]) -> int | None:
    return _number(stamp, "mode", 8)


def _mtime(stamp: dict[str, str]) -> Mtime | None:
    seconds = _number(stamp, "mtime", 10)
    return None if seconds is None else (seconds, _number(stamp, "mtime-nsecs", 10) or 0)


def _number(stamp: dict[str, str], name: str, base: int) -> int | None:
    if name not in stamp:
        return None
    if not _NUMBERS[base].fullmatch(stamp[name]):
        raise BadRequest(f'{name} of a part is no number that it can be: "{stamp[name][:32]}"')
    return int(stamp[name], base)
