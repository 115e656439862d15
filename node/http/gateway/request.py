"""What a request to the gateway asks for: a content path and a representation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote, unquote

from blockstore.path import ContentPath

_MAX_URI = 8192  # IPIP-548

Format = Literal["raw", "car"]
_FORMATS: dict[str, Format] = {"raw": "raw", "car": "car"}
_TYPES: dict[str, Format] = {"application/vnd.ipld.raw": "raw", "application/vnd.ipld.car": "car"}
_NEGOTIATED = (
    "application/vnd.ipld",
    "application/vnd.ipfs",
    "application/x-tar",
    "application/json",
    "application/cbor",
)


class NotAcceptable(Exception):
    """A representation that this gateway does not make."""


@dataclass(frozen=True, slots=True)
class RequestPath:
    """A content path as it came: `escaped` in the URL's form, `slash` whether it ended in one."""

    escaped: str
    text: str  # decoded once
    content: ContentPath
    root: str  # the root in canonical text of its own version
    slash: bool

    @property
    def name(self) -> str:
        """The last segment; empty at the root."""
        return self.content.segments[-1] if self.content.segments else ""

    def uri(self) -> str:
        """`ipfs://` with the root in canonical text, for the Ipfs-Uri header; empty when too long."""
        rest = "".join("/" + quote_name(segment) for segment in self.content.segments)
        root = self.root if self.content.root.version else str(self.content.root.as_v1())
        uri = f"ipfs://{root}{rest}{'/' if self.slash else ''}"
        return uri if len(uri) <= _MAX_URI else ""


def parse_path(escaped: str) -> RequestPath:
    """The path of a URL, percent-decoded once. Raises BadPath."""
    text = unquote(escaped, errors="surrogateescape") if "%" in escaped else escaped
    content = ContentPath.parse(text)
    return RequestPath(escaped, text, content, str(content.root), slash=text.endswith("/"))


def requested_format(query: Mapping[str, str], accept: str | None) -> Format | None:
    """`?format=` wins over Accept (IPIP-523); None is the implicit one. Raises NotAcceptable."""
    if asked := query.get("format"):
        if asked in _FORMATS:
            return _FORMATS[asked]
        if asked in ("tar", "json", "cbor", "dag-json", "dag-cbor", "ipns-record"):
            raise NotAcceptable(f"format={asked} is not supported by this gateway")
    for entry in (accept or "").split(","):
        kind = entry.partition(";")[0].strip().lower()
        if kind.startswith(_NEGOTIATED):
            if kind not in _TYPES:
                raise NotAcceptable(f"{kind} is not supported by this gateway")
            return _TYPES[kind]
    return None


def accept_parameters(accept: str | None, kind: str) -> dict[str, str]:
    """Parameters that Accept gives to that type, such as `order` and `dups` of a CAR."""
    for entry in (accept or "").split(","):
        name, *fields = entry.split(";")
        if name.strip().lower() == kind:
            pairs = (field.partition("=") for field in fields)
            return {key.strip().lower(): value.strip().strip('"') for key, _, value in pairs}
    return {}


def quote_name(name: str) -> str:
    """A path segment in a URL: only unreserved characters stay, escapes in upper case."""
    return quote(name.encode(errors="surrogateescape"), safe="-_.~")
