"""Paths of a path gateway that are answered before any content is looked for (specs: path gateway; boxo)."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from aiohttp import web

from blockstore.errors import BadPath
from blockstore.path import ContentPath
from node.http.errors import BadRequest
from node.http.gateway.hosts.target import URL_CHARACTERS, Moved, Target
from node.http.gateway.paths.request import content_text
from node.names.errors import BadName
from node.names.name import NamePath

_NAMESPACES = ("/ipfs/", "/ipns/")


class NotHere(Exception):
    """A path outside the namespaces of content."""


def moved(request: web.Request, target: Target) -> Moved | None:
    """Where else the content is; None for what is right here. Raises BadRequest, NotHere."""
    path = target.path
    if not path.startswith(_NAMESPACES):
        if path in ("/ipfs", "/ipns"):
            raise BadPath(f'invalid path "{path}": no CID or name')
        raise NotHere("404 page not found: content is at /ipfs/<cid> and /ipns/<name>")
    if len(path) == 6 and "uri" in request.query:
        return _of_uri(request.query["uri"])
    namespace, below = path[:6], path[6:]
    if below.startswith("/") and (cleaned := below.lstrip("/")):  # put together of parts that both had one
        return Moved(namespace + cleaned + (f"?{target.query}" if target.query else ""))
    if request.headers.get("Service-Worker") == "script" and path.count("/") == 2:
        raise BadRequest("navigator.serviceWorker: registration is not allowed for this scope")
    if path.startswith(("/ipfs/ipfs/", "/ipfs/ipns/")):
        return _without_extra(target)
    return None


def _of_uri(uri: str) -> Moved:
    """What browsers ask whose handler of `ipfs:` and `ipns:` this gateway is (registerProtocolHandler)."""
    try:
        url = urlsplit(uri)
    except ValueError:
        raise BadRequest("uri is no URI") from None
    if url.scheme not in ("ipfs", "ipns"):
        raise BadRequest(f'uri begins with "{url.scheme[:32]}:", not with ipfs: or ipns:')
    below = f"{url.netloc}{url.path}".lstrip("/")
    path = f"/{url.scheme}/{below}" + (f"?{url.query}" if url.query else "")
    return Moved(quote(path.encode(errors="surrogateescape"), safe=URL_CHARACTERS))


def _without_extra(target: Target) -> Moved | None:
    """`/ipfs/ipns/<name>` meant `/ipns/<name>`, if that is a path."""
    path = target.path[len("/ipfs") :]
    try:
        text = content_text(path)
        _ = NamePath.parse(text) if path.startswith("/ipns/") else ContentPath.parse(text)
    except (BadPath, BadName):
        return None
    return Moved(path + (f"?{target.query}" if target.query else ""))
