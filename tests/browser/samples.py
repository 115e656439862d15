"""What the pages are shown with."""

from __future__ import annotations

from pathlib import Path

import cbrrr
from support.gateway import Gateway

from blockstore.block import Block
from blockstore.cid import CID, DAG_CBOR
from blockstore.unixfs.importing.options import ImportFlags

FILES = {
    "site/README.md": 9_040,
    "site/Makefile": 812,
    "site/März notes.txt": 192_000,
    "site/data.json": 63_900,
    "site/logo.svg": 80_600,
    "site/photos/harbour.jpg": 24_000,
    "site/photos/2026/coast.jpg": 31_000,
    "site/song.flac": 310_000,
    "site/sources.tar.gz": 123_456,
    "site/report 2026.pdf": 146_000,
    "site/video.mp4": 620_000,
    "site/שלום.txt": 12,
}
HOSTILE = (
    "<img src=x onerror=alert(1)>.html",
    '"><script>alert(2)<',
    "photo\u202egnp.txt",
    "javascript:alert(3)",
    "two\nlines",
    "W" * 200,
)


async def folder(gateway: Gateway) -> CID:
    """A directory as people have them."""
    return await gateway.add({name: _text(size) for name, size in FILES.items()})


def write(parent: Path) -> Path:
    """The same as files, for commands."""
    for name, size in FILES.items():
        file = parent / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(_text(size))
    return parent / "site"


async def hostile(gateway: Gateway) -> CID:
    return await gateway.add({f"bad/{name}": b"harmless" for name in HOSTILE})


async def sharded(gateway: Gateway, entries: int) -> CID:
    """A directory too large for one block."""
    return await gateway.add(
        {f"many/{n:06}.txt": b"%d" % n for n in range(entries)}, ImportFlags(hamt_threshold=1)
    )


async def node(gateway: Gateway) -> CID:
    """A dag-cbor node with every kind of value."""
    end = Block.of(b"the end of a link")
    value: cbrrr.DagCborTypes = {
        "name": "Pinfold",
        "numbers": [1, -2, 3.5],
        "nothing": None,
        "deep": {"er": {"still": True}},
        "bytes": bytes(range(32)),
        "link": cbrrr.CID(bytes(end.cid)),
    }
    block = Block.of(cbrrr.encode_dag_cbor(value), DAG_CBOR)
    await gateway.put(end, block)
    return block.cid


def _text(size: int) -> bytes:
    return (b"All work and no play. " * (size // 22 + 1))[:size]
