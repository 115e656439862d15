"""Which representation a request asks for (spec: path gateway; IPIP-523: `?format=` before Accept)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import quote

from node.http.errors import BadRequest

Format = Literal["raw", "car", "tar", "json", "cbor", "dag-json", "dag-cbor", "ipns-record"]

TYPES: dict[Format, str] = {
    "raw": "application/vnd.ipld.raw",
    "car": "application/vnd.ipld.car",
    "tar": "application/x-tar",
    "json": "application/json",
    "cbor": "application/cbor",
    "dag-json": "application/vnd.ipld.dag-json",
    "dag-cbor": "application/vnd.ipld.dag-cbor",
    "ipns-record": "application/vnd.ipfs.ipns-record",
}
_BY_NAME: dict[str, Format] = {name: name for name in TYPES}
_BY_TYPE: dict[str, Format] = {kind: name for name, kind in TYPES.items()}
_NEGOTIATED = (*TYPES.values(), "application/vnd.ipld", "application/vnd.ipfs")
_PARAMETER = re.compile(r"""\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)=("[^"\\]*"|[!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*""")


class NotAcceptable(Exception):
    """A representation that the content does not have."""


@dataclass(frozen=True, slots=True)
class Asked:
    """`format` is None where the content's own codec decides; `parameters` are those Accept gives to it.

    `by_accept`: Accept chose the format. `html`: Accept would take a web page.
    """

    format: Format | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    by_accept: bool = False
    html: bool = False

    def location(self, escaped: str, query: Mapping[str, str]) -> str:
        """Where this representation has an address of its own, for Content-Location; empty: right here."""
        if not self.by_accept:
            return ""
        own = {f"{self.format}-{name}": value for name, value in self.parameters.items()}
        counted = {name: value for name, value in own.items() if not query.get(name)}
        pairs = {**query, **counted, "format": str(self.format)}
        return f"{escaped}?{'&'.join(f'{_escaped(name)}={_escaped(text)}' for name, text in pairs.items())}"


IMPLICIT = Asked()


def negotiate(query: Mapping[str, str], accept: str | None) -> Asked:
    """Weights do not count, the order does. Raises BadRequest for unknown vendor types and bad parameters."""
    named = _BY_NAME.get(query.get("format", "")) if query else None
    if named is None and (accept is None or accept == "*/*"):
        return IMPLICIT
    entries = [entry.strip() for entry in (accept or "").split(",")]
    html = any(entry[:9].lower() == "text/html" for entry in entries)
    if named is not None:
        return Asked(named, _parameters_of(entries, TYPES[named]), html=html)
    for entry in entries:
        kind = _type(entry)
        if kind in _BY_TYPE:
            return Asked(_BY_TYPE[kind], _parameters(entry), by_accept=True, html=html)
        if kind.startswith(_NEGOTIATED):
            raise BadRequest(
                f'Accept: "{kind[:100]}" is no format of this gateway: {", ".join(TYPES.values())}'
            )
    return Asked(html=html)


def _type(entry: str) -> str:
    return entry.partition(";")[0].strip().lower()


def _parameters_of(entries: list[str], kind: str) -> dict[str, str]:
    return next((_parameters(entry) for entry in entries if _type(entry) == kind), {})


def _parameters(entry: str) -> dict[str, str]:
    """Those of a media range, its weight left out. Raises BadRequest."""
    found: dict[str, str] = {}
    for text in filter(str.strip, entry.split(";")[1:]):
        match = _PARAMETER.fullmatch(text)
        if match is None:
            raise BadRequest(f'Accept: "{text.strip()[:100]}" is no parameter')
        found[match[1].lower()] = match[2].strip('"')
    found.pop("q", None)
    return found


def _escaped(text: str) -> str:
    return quote(text.encode(errors="surrogateescape"), safe="")
