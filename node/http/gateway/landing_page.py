"""The gateway's own root: what this is, and a field to open content by whatever people have of it."""

from __future__ import annotations

import re
from urllib.parse import quote

from aiohttp import web

from blockstore.cid import CID, LIBP2P_KEY
from blockstore.errors import BadCid
from node.http.gateway.hosts import labels
from node.http.gateway.hosts.redirect import Redirect
from node.http.gateway.hosts.target import URL_CHARACTERS
from node.http.gateway.replies import messages
from node.names.errors import BadName
from node.names.name import DomainName, IpnsName
from node.version import VERSION

_TEXT = "Pinfold gateway: content is at /ipfs/<cid> and /ipns/<name>"
_SCHEME = re.compile(r"(https?|ipfs|ipns):(?://)?", re.IGNORECASE)
_NAMESPACES = ("ipfs/", "ipns/")


def landing_page(request: web.Request) -> web.Response:
    """A page where Accept names HTML, else a line of text. Raises Redirect for `?open=`."""
    if pasted := request.query.get("open", "").strip():
        raise Redirect(pasted_path(pasted), 302)
    return messages.message(request, 200, _TEXT, "welcome.html", {"version": VERSION})


def pasted_path(text: str) -> str:
    """The escaped path of what people paste: a CID, a path, a URI, a name, or a URL of any gateway or site.

    Whether there is such content, the answer to that path says.
    """
    scheme = _SCHEME.match(text)
    if scheme is None:
        return "/" + quote(_path_of_words(text.lstrip("/")).encode(errors="surrogateescape"))
    rest, kind = text[scheme.end() :].lstrip("/"), scheme[1].lower()
    path = _path_of_url(rest.partition("#")[0]) if kind.startswith("http") else f"{kind}/{rest}"
    return "/" + quote(path.encode(errors="surrogateescape"), safe=URL_CHARACTERS)


def _path_of_words(text: str) -> str:
    if text.startswith(_NAMESPACES):
        return text
    return f"{'ipns' if _is_name(text.partition('/')[0]) else 'ipfs'}/{text}"


def _path_of_url(rest: str) -> str:
    """`rest`: `<gateway>/ipfs/…`, `<cid>.ipfs.<gateway>/…`, or of a site that may have a DNSLink."""
    authority, _, path = rest.partition("/")
    host = authority.rpartition("@")[2].partition(":")[0]
    if path.startswith(_NAMESPACES):
        return path
    label, _, above = host.partition(".")
    if above.startswith("ipfs."):
        return f"ipfs/{label}/{path}"
    if above.startswith("ipns."):
        return f"ipns/{label if _is_name(label) else labels.uninlined(label)}/{path}"
    return f"ipns/{host}/{path}"


def _is_name(text: str) -> bool:
    """The name of a key or a domain, and no CID of content."""
    try:
        return CID.parse(text).codec == LIBP2P_KEY
    except BadCid:
        return _parses(IpnsName, text) or _parses(DomainName, text)


def _parses(kind: type[IpnsName | DomainName], text: str) -> bool:
    try:
        kind.parse(text)
    except BadName:
        return False
    return True
