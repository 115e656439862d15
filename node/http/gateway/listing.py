"""The page that lists a directory, written while its entries are read: a sharded one may have millions."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path
from string import Template
from urllib.parse import quote

from blockstore.service import BlockSource
from blockstore.unixfs.reader import DirectoryEntry, UnixFSStat, list_directory
from node.http.gateway import media
from node.http.gateway.request import RequestPath, quote_name
from node.version import VERSION

_TEMPLATE = Path(__file__).parent.parent / "templates" / "listing.html"
_WRITE_BYTES = 64 * 1024
_FIRST_ROWS = 100  # sent at once: a screen or two
_UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB")
_INSPECTOR = "https://cid.ipfs.tech/#"  # where the site of a DNSLink links to, which has no other content


@dataclass(frozen=True, slots=True)
class Links:
    """Where the page's links lead.

    `base` is the directory's own escaped path with a slash at its end, `top` that of the root above it as
    breadcrumbs have it, without. `hashes` is what stands before the CID of an entry.
    """

    base: str
    top: str
    hashes: str

    @classmethod
    def of(cls, path: RequestPath) -> Links:
        """On an origin of its own, entries are below its root; other content is at the gateway above it."""
        root = f"/{path.namespace}/{path.root}"
        own = "".join(f"{quote_name(segment)}/" for segment in path.segments)
        if not path.mount.isolated:
            return cls(f"{root}/{own}", root, "/ipfs/")
        if path.mount.gateway:
            above = f"//{quote(path.mount.gateway, safe=':[]')}"
            return cls(f"/{own}", f"{above}{root}", f"{above}/ipfs/")
        return cls(f"/{own}", f"//{path.root}", "")

    def crumbs(self, path: RequestPath) -> str:
        """Every directory above and this one, as HTML."""
        href = f"{self.top}{'' if self.hashes else '/'}"
        parts = [f'/{path.namespace}/<a href="{escape(href)}">{escape(path.root)}</a>']
        href = self.top
        for segment in path.segments:
            href = f"{href}/{quote_name(segment)}"
            parts.append(f'<a href="{escape(href)}">{escape(segment)}</a>')
        return "/".join(parts)

    def row(self, entry: DirectoryEntry) -> str:
        """One entry as HTML: made by hand, for there may be a million of them."""
        cid, name = str(entry.cid), quote_name(entry.name)
        if self.hashes:  # boxo escapes the name twice, and its tests ask for that
            link = f'href="{self.hashes}{cid}?filename={name.replace("%", "%25")}"'
        else:
            link = f'href="{_INSPECTOR}{cid}" target="_blank" rel="noreferrer noopener"'
        size = human_size(entry.tsize) if entry.tsize is not None else ""
        return (
            f'<tr><td><a href="{self.base}{name}">{escape(entry.name)}</a></td><td>{_kind(entry)}</td>'
            f'<td><a class="ipfs-hash" translate="no" {link}>{cid[:4]}…{cid[-4:]}</a></td>'
            f"<td>{size}</td></tr>\n"
        )


def human_size(size: int) -> str:
    """Bytes in decimal units, three digits."""
    amount, unit = float(size), 0
    while amount >= 999.5 and unit < len(_UNITS) - 1:
        amount, unit = amount / 1000, unit + 1
    return f"{amount:.0f} {_UNITS[unit]}" if unit == 0 or amount >= 99.5 else f"{amount:.3g} {_UNITS[unit]}"


@cache
def page_hash() -> str:
    """What the Etag of a generated page depends on besides the CID."""
    return hashlib.sha256(VERSION.encode() + _TEMPLATE.read_bytes()).hexdigest()[:16]


async def page(path: RequestPath, info: UnixFSStat, blocks: BlockSource) -> AsyncGenerator[bytes]:
    """The page in pieces of some 64 KiB, the first one early. Entries' own blocks are never read.

    Raises what reading the directory raises.
    """
    head, tail = _around(path, info, Links.of(path))
    gathered, length = [head], len(head)
    async with aclosing(_rows(path, info, blocks)) as rows:
        async for count, row in rows:
            gathered.append(row)
            length += len(row)
            if length >= _WRITE_BYTES or count == _FIRST_ROWS:
                yield _encoded(gathered)
                gathered, length = [], 0
    yield _encoded([*gathered, tail])


async def _rows(path: RequestPath, info: UnixFSStat, blocks: BlockSource) -> AsyncGenerator[tuple[int, str]]:
    links = Links.of(path)
    count = 0
    if path.segments:
        yield count, f'<tr><td><a href="{links.base}..">..</a></td><td></td><td></td><td></td></tr>\n'
    async with aclosing(list_directory(blocks, info.cid)) as entries:
        async for entry in entries:
            count += 1
            yield count, links.row(entry)


def _around(path: RequestPath, info: UnixFSStat, links: Links) -> tuple[str, str]:
    filled = _template().substitute(
        path=escape(path.text),
        crumbs=links.crumbs(path),
        cid=info.cid,
        size=human_size(info.cumulative),
        entries="" if info.sharded else f" &middot; {info.links} {'entry' if info.links == 1 else 'entries'}",
    )
    head, _, tail = filled.partition("<!-- rows -->\n")
    return head, tail


@cache
def _template() -> Template:
    return Template(_TEMPLATE.read_text("utf-8"))


def _kind(entry: DirectoryEntry) -> str:
    """By the name: to know more, the entry's block would have to be read."""
    kind = media.by_name(entry.name)
    return kind.partition(";")[0] if kind else ""


def _encoded(pieces: list[str]) -> bytes:
    return "".join(pieces).encode(errors="replace")
