"""What a request to the gateway asks for: a content path."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote

from blockstore.errors import BadPath
from blockstore.path import ContentPath
from node.http.gateway.hosts.mount import PATHS, Mount
from node.names.errors import BadName
from node.names.name import NamePath, quote_segment

_MAX_URI = 8192  # IPIP-548
_NO_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class RequestPath:
    """A content path as it came: `escaped` in the URL's form, `slash` whether it ended in one.

    Below /ipns/, `content` is where the name led, `root` the name in canonical text, `below` the segments of
    the URL where a name that leads into a DAG makes them fewer than those of `content`, and `ttl` the seconds
    that it still leads there (None: not known). `asked_uri` is what was asked for where the rules of a site
    give other content instead.
    """

    escaped: str
    text: str  # decoded once
    content: ContentPath
    root: str  # the root in canonical text of its own version
    slash: bool
    namespace: Literal["ipfs", "ipns"] = "ipfs"
    below: tuple[str, ...] | None = None
    ttl: float | None = None
    mount: Mount = PATHS
    asked_uri: str | None = None

    @property
    def segments(self) -> tuple[str, ...]:
        """Those below the root in the URL."""
        return self.content.segments if self.below is None else self.below

    @property
    def name(self) -> str:
        """The last segment; empty at the root."""
        return self.content.segments[-1] if self.content.segments else ""

    def uri(self) -> str:
        """The `Ipfs-Uri` header: the root in canonical text and the path below; empty when too long."""
        if self.asked_uri is not None:
            return self.asked_uri
        rest = "".join("/" + quote_segment(segment) for segment in self.segments)
        old = self.namespace == "ipfs" and not self.content.root.version
        root = str(self.content.root.as_v1()) if old else self.root
        uri = f"{self.namespace}://{root}{rest}{'/' if self.slash else ''}"
        return uri if len(uri) <= _MAX_URI else ""


def content_text(escaped: str, mount: Mount = PATHS) -> str:
    """The content path that a URL's path says, percent-decoded once. Raises BadPath."""
    if "%" not in escaped:
        return mount.prefix + escaped
    if _NO_ESCAPE.search(escaped):
        raise BadPath(f'invalid path "{escaped[:200]}": a % that is not followed by two hex digits')
    return mount.prefix + unquote(escaped, errors="surrogateescape")


def parse_path(escaped: str, mount: Mount = PATHS) -> RequestPath:
    """The path of a URL of content. Raises BadPath."""
    text = content_text(escaped, mount)
    content = ContentPath.parse(text)
    return RequestPath(escaped, text, content, str(content.root), text.endswith("/"), mount=mount)


def content_names(escaped: str, mount: Mount = PATHS) -> tuple[str, str]:
    """What `X-Ipfs-Path` and `Ipfs-Uri` say of a URL, wherever it leads; empty where it names no content."""
    try:
        text = content_text(escaped, mount)
        if not text.startswith("/ipns/"):
            return text, parse_path(escaped, mount).uri()
        uri = NamePath.parse(text).uri() + ("/" if text.endswith("/") else "")
    except (BadPath, BadName):
        return "", ""
    return text, uri if len(uri) <= _MAX_URI else ""
