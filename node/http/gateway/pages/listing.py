"""The page that lists a directory, written while its entries are read: a sharded one may have millions."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

from blockstore.blocks import BlockSource
from blockstore.cid import CID
from blockstore.store import Blockstore
from blockstore.unixfs.listing import DirectoryEntry, list_directory
from blockstore.unixfs.reader import Kind, UnixFSStat
from node.http.gateway.pages.file_kinds import kinds_here, sort_of
from node.http.gateway.pages.links import PageLinks
from node.http.gateway.pages.page import Page, page
from node.http.gateway.pages.safe_text import visible
from node.http.gateway.paths.request import RequestPath
from node.names.name import quote_segment

BROKEN_OFF = b'<tr><td role="alert">The listing breaks off here: this is not all.'

_WRITE_BYTES = 64 * 1024
_NEAR = 2000  # rows that browsers lay out at once and pass on to assistive technology
_FAR_GROUP = "<tbody class=far>\n"  # those behind come in groups, laid out when they come into view
_FIRST_ROWS = 100  # sent at once: a screen or two
_LOOKED_AT = 256  # entries of a directory whose kinds are looked up
# What is between is a link to browsers; to programs that copy sites it is in a comment, as it was in SGML,
# and they do not fetch everything once more by its CID.
_NOT_MIRRORED = ("<!-->", "<!-- -->")
_UNITS = tuple((999.5 * 1000**i, 1000**i, unit) for i, unit in enumerate(("B", "kB", "MB", "GB", "TB", "PB")))
_PLAIN = re.compile(r"[A-Za-z0-9_.~-]+").fullmatch  # a name that is the same in text, in HTML and in a URL


def row(entry: DirectoryEntry, links: PageLinks, kinds: Mapping[CID, Kind]) -> str:
    """One entry as HTML: made by hand, for there may be a million of them.

    The cells' end tags are left out, which HTML allows.
    """
    shown = href = twice = entry.name
    if not _PLAIN(shown):
        shown, href = visible(shown), quote_segment(shown)
        twice = href.replace("%", "%25")  # boxo escapes the name twice here, and its tests ask for that
    cid = str(entry.cid)
    mark, kind = sort_of(entry, kinds)
    before, after = _NOT_MIRRORED if links.here else ("", "")
    return (
        f'<tr{mark}><td><a href="{links.base}{href}">{shown}</a><td>{kind}'
        f'<td>{before}<a class="ipfs-hash" translate="no" {links.to(cid, f"?filename={twice}")}>'
        f"{cid[:4]}…{cid[-4:]}</a>{after}{_size_cell(entry.tsize)}\n"
    )


def human_size(size: int) -> str:
    """Bytes in decimal units, three digits."""
    for end, unit, name in _UNITS:
        if size < end:
            return f"{size / unit:.3g} {name}"
    return f"{size / 10**18:.3g} EB"


def template() -> Page:
    """The page around the rows."""
    return page("listing.html")


def etag(cid: CID, kinds: Mapping[CID, Kind]) -> str:
    """Of the page of a directory, some of whose entries have these kinds: more of them make another page."""
    known = "".join(sorted(map(str, kinds)))
    seen = f"-{hashlib.sha256(known.encode()).hexdigest()[:16]}" if known else ""
    return f'"DirIndex-{template().digest}{seen}_CID-{cid}"'


async def kinds_in(info: UnixFSStat, blocks: BlockSource, here: Blockstore) -> Mapping[CID, Kind]:
    """What the entries are, as far as blocks that are `here` show it; of small directories only."""
    if info.sharded or info.links > _LOOKED_AT:
        return {}
    async with aclosing(list_directory(blocks, info.cid)) as entries:
        return await kinds_here(here, [entry.cid async for entry in entries])


async def listed(
    path: RequestPath, info: UnixFSStat, blocks: BlockSource, kinds: Mapping[CID, Kind]
) -> AsyncGenerator[bytes]:
    """The page in pieces of some 64 KiB, the first one early. Entries' own blocks are never read.

    Raises what reading the directory raises.
    """
    links = PageLinks.of(path)
    head, tail = _around(path, info, links)
    gathered, length, count = [head], len(head), 0
    async with aclosing(list_directory(blocks, info.cid)) as entries:
        async for entry in entries:
            line = row(entry, links, kinds)
            gathered.append(line)
            length += len(line)
            count += 1
            if length >= _WRITE_BYTES or count == _FIRST_ROWS:
                yield _encoded(gathered)
                gathered, length = [_FAR_GROUP] if count >= _NEAR else [], 0
    yield _encoded([*gathered, tail.replace("<!-- count -->", _counted(count), 1)])


def _around(path: RequestPath, info: UnixFSStat, links: PageLinks) -> tuple[str, str]:
    up = (
        f'<tr class=up><td><a href="{links.base}..">..</a><td>parent folder<td><td>\n'
        if path.segments
        else ""
    )
    texts = {"path": path.text, "cid": str(info.cid), "size": human_size(info.cumulative)}
    order = "sharded: in the order of hashes, not of names" if info.sharded else _counted(info.links)
    filled = template().fill(texts, {"crumbs": links.crumbs(path), "entries": f" &middot; {order}", "up": up})
    head, _, tail = filled.partition("<!-- rows -->\n")
    return head, tail


def _counted(entries: int) -> str:
    return f"{entries:,} {'entry' if entries == 1 else 'entries'}"


def _size_cell(size: int | None) -> str:
    if size is None or size < 1000:
        return "<td>" if size is None else f"<td>{size} B"
    return f'<td title="{size:,} bytes">{human_size(size)}'


def _encoded(pieces: list[str]) -> bytes:
    return "".join(pieces).encode(errors="replace")
