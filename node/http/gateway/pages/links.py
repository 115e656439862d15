"""Where the links of a generated page lead, on a path gateway and on origins of their own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from urllib.parse import quote

from blockstore.cid import CID
from node.http.gateway.pages.safe_text import visible
from node.http.gateway.paths.request import RequestPath
from node.names.name import quote_segment

_INSPECTOR = "https://cid.ipfs.tech/#"  # where a host without other content links to


@dataclass(frozen=True, slots=True)
class PageLinks:
    """Where the page's links lead.

    `base` is the directory's own escaped path with a slash at its end, `top` that of the root above it as
    breadcrumbs have it, without. `hashes` is what stands before the CID of an entry.
    """

    base: str
    top: str
    hashes: str

    @classmethod
    def of(cls, path: RequestPath) -> PageLinks:
        """On an origin of its own, entries are below its root; other content is at the gateway above it.

        At a host that serves only pins, there is no other content: a block inside a pin is none itself.
        """
        links = cls._anywhere(path)
        return replace(links, hashes="") if path.mount.policy.only_pinned else links

    @classmethod
    def _anywhere(cls, path: RequestPath) -> PageLinks:
        root = f"/{path.namespace}/{path.root}"
        own = "".join(f"{quote_segment(segment)}/" for segment in path.segments)
        if not path.mount.isolated:
            return cls(f"{root}/{own}", root, "/ipfs/")
        if path.mount.gateway:
            above = f"//{quote(path.mount.gateway, safe=':[]')}"
            return cls(f"/{own}", f"{above}{root}", f"{above}/ipfs/")
        return cls(f"/{own}", f"//{path.root}", "")

    def crumbs(self, path: RequestPath) -> str:
        """Every directory above and this one, as HTML."""
        href = f"{self.top}{'' if self.hashes else '/'}"
        parts = [f'/{path.namespace}/<a href="{visible(href)}">{visible(path.root)}</a>']
        href = self.top
        for segment in path.segments:
            href = f"{href}/{quote_segment(segment)}"
            parts.append(f'<a href="{visible(href)}">{visible(segment)}</a>')
        return "/".join(parts)

    @property
    def here(self) -> bool:
        """Whether other content is at this host."""
        return self.hashes == "/ipfs/"

    def to(self, cid: CID | str, query: str = "") -> str:
        """The attributes of a link to other content; `query` begins with "?"."""
        if self.hashes:
            return f'href="{self.hashes}{cid}{query}"'
        return f'href="{_INSPECTOR}{cid}" target="_blank" rel="noreferrer noopener"'
