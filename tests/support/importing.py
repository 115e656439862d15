"""Imports in tests: deterministic content, entries from plain values, everything that comes out."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterable, Iterator

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms

from blockstore.unixfs.importing.entries import Entry, SourceFile
from blockstore.unixfs.importing.importer import BlockSink, DroppingSink, import_entries
from blockstore.unixfs.importing.ingest import ImportedEntry
from blockstore.unixfs.importing.options import ImportOptions

_NAME_ALPHABET = b"abcdefghijklmnopqrstuvwxyz01234567890-_"


def keystream(seed: str, size: int, piece: int = 1 << 20) -> Iterator[bytes]:
    """The bytes that IPIP-499's vectors are made of: ChaCha20, key sha256(seed), nonce and counter zero."""
    cipher = Cipher(algorithms.ChaCha20(hashlib.sha256(seed.encode()).digest(), bytes(16)), mode=None)
    encryptor = cipher.encryptor()
    for start in range(0, size, piece):
        yield encryptor.update(bytes(min(piece, size - start)))


def keystream_names(seed: str, lengths: Iterable[int]) -> list[str]:
    """File names out of a keystream of 1 MiB."""
    stream = b"".join(keystream(seed, 1 << 20))
    names, start = [], 0
    for length in lengths:
        names.append(bytes(_NAME_ALPHABET[byte % 39] for byte in stream[start : start + length]).decode())
        start += length
    return names


async def pieces(data: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in data:
        yield piece


def file(
    path: str, *data: bytes, mode: int | None = None, mtime: tuple[int, int] | None = None
) -> SourceFile:
    return SourceFile(path, pieces(data), mode, mtime)


async def one_by_one(entries: Iterable[Entry]) -> AsyncIterator[Entry]:
    for entry in entries:
        yield entry


async def import_all(
    entries: Iterable[Entry], options: ImportOptions, sink: BlockSink | None = None
) -> list[ImportedEntry]:
    imported = import_entries(one_by_one(entries), sink or DroppingSink(), options)
    return [added async for added in imported]


async def root_of(entries: Iterable[Entry], options: ImportOptions, sink: BlockSink | None = None) -> str:
    """CID of what comes out last."""
    return str((await import_all(entries, options, sink))[-1].cid)
