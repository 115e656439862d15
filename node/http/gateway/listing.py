"""The page that lists a directory, written while its entries are read: a sharded one may have millions."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from blockstore.cid import CID
from node.http.gateway.request import quote_name

if TYPE_CHECKING:
    import jinja2

_TEMPLATES = Path(__file__).parent.parent / "templates"
_WRITE_BYTES = 64 * 1024
_UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB")


@dataclass(frozen=True, slots=True)
class Row:
    """One entry as the page shows it."""

    name: str
    href: str
    hash_href: str
    short: str
    size: str


@dataclass(frozen=True, slots=True)
class Crumb:
    """One part of the path above the listing; no link for the namespace."""

    name: str
    href: str


def row(base: str, name: str, cid: CID, size: int | None) -> Row:
    """`base` is the directory's own escaped path, ending in a slash; size in bytes of the whole DAG."""
    text, escaped = str(cid), quote_name(name)
    return Row(
        name=name,
        href=base + escaped,
        hash_href=f"/ipfs/{text}?filename={escaped}",
        short=f"{text[:4]}…{text[-4:]}",
        size=human_size(size) if size is not None else "",
    )


def crumbs(namespace: str, root: str, segments: tuple[str, ...]) -> list[Crumb]:
    """Links to every directory above, and to this one."""
    href = f"/{namespace}/{root}"
    found = [Crumb(namespace, ""), Crumb(root, href)]
    for segment in segments:
        href = f"{href}/{quote_name(segment)}"
        found.append(Crumb(segment, href))
    return found


def human_size(size: int) -> str:
    """Bytes in decimal units, three digits."""
    amount, unit = float(size), 0
    while amount >= 999.5 and unit < len(_UNITS) - 1:
        amount, unit = amount / 1000, unit + 1
    return f"{amount:.0f} {_UNITS[unit]}" if unit == 0 or amount >= 99.5 else f"{amount:.3g} {_UNITS[unit]}"


@cache
def template() -> jinja2.Template:
    import jinja2  # late: it costs start time and memory, and only generated pages need it

    loader = jinja2.FileSystemLoader(_TEMPLATES)
    environment = jinja2.Environment(loader=loader, autoescape=True, enable_async=True, auto_reload=False)
    return environment.get_template("listing.html")


@cache
def template_hash() -> str:
    """What the Etag of a generated page depends on besides the CID."""
    return hashlib.sha256((_TEMPLATES / "listing.html").read_bytes()).hexdigest()[:16]


async def render(
    *, path: str, cid: CID, size: int, crumbs: list[Crumb], parent: str, rows: AsyncIterator[Row]
) -> AsyncGenerator[bytes]:
    """The page in pieces of some 64 KiB. What `rows` raises comes through."""
    gathered: list[str] = []
    length = 0
    pieces = template().generate_async(
        path=path,
        cid=str(cid),
        size=human_size(size) if size else "",
        crumbs=crumbs,
        parent=parent,
        rows=rows,
    )
    async for piece in pieces:
        gathered.append(piece)
        length += len(piece)
        if length >= _WRITE_BYTES:
            yield "".join(gathered).encode(errors="replace")
            gathered, length = [], 0
    yield "".join(gathered).encode(errors="replace")
