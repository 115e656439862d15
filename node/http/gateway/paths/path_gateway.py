"""Rules for paths of a path gateway that hold whatever content there is (specs: path gateway; boxo)."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from aiohttp import web

from blockstore.errors import BadPath
from blockstore.path import ContentPath
from node.http.errors import BadRequest
from node.http.gateway.hosts.redirect import Redirect
from node.http.gateway.hosts.target import URL_CHARACTERS, Target
from node.http.gateway.paths.request import content_text
from node.names.errors import BadName
from node.names.name import NamePath

_NAMESPACES = ("/ipfs/", "/ipns/")


class NotHere(Exception):
    """A path outside the namespaces of content."""


def check_path(request: web.Request, target: Target) -> None:
    """Returns where content may be at this very path. Raises BadPath, BadRequest, NotHere, Redirect."""
    path = target.path
    if not path.startswith(_NAMESPACES):
        if path in ("/ipfs", "/ipns"):
            raise BadPath(f'invalid path "{path}": no CID or name')
        raise NotHere("404 page not found: content is at /ipfs/<cid> and /ipns/<name>")
    if len(path) == 6 and "uri" in request.query:
        raise Redirect(_path_of_uri(request.query["uri"]))
    namespace, below = path[:6], path[6:]
    if below.startswith("/") and (cleaned := below.lstrip("/")):  # put together of parts that both had one
        raise Redirect(target.with_query(namespace + cleaned))
    if request.headers.get("Service-Worker") == "script" and path.count("/") == 2:
        raise BadRequest("navigator.serviceWorker: registration is not allowed for this scope")
    if path.startswith(("/ipfs/ipfs/", "/ipfs/ipns/")) and _is_content(inner := path[len("/ipfs") :]):
        raise Redirect(target.with_query(inner))


def _path_of_uri(uri: str) -> str:
    """For browsers whose handler of `ipfs:` and `ipns:` this gateway is (registerProtocolHandler)."""
    try:
        url = urlsplit(uri)
    except ValueError:
        raise BadRequest("uri is no URI") from None
    if url.scheme not in ("ipfs", "ipns"):
        raise BadRequest(f'uri begins with "{url.scheme[:32]}:", not with ipfs: or ipns:')
    below = f"{url.netloc}{url.path}".lstrip("/")
    path = f"/{url.scheme}/{below}" + (f"?{url.query}" if url.query else "")
    return quote(path.encode(errors="surrogateescape"), safe=URL_CHARACTERS)


def _is_content(escaped: str) -> bool:
    """Whether it is a content path: `/ipfs/ipns/<name>` meant `/ipns/<name>` then."""
    try:
        text = content_text(escaped)
        _ = NamePath.parse(text) if escaped.startswith("/ipns/") else ContentPath.parse(text)
    except (BadPath, BadName):
        return False
    return True
