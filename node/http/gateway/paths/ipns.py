"""Content below mutable names: keys written one way only, names followed to content."""

from __future__ import annotations

import asyncio

from node.http.gateway.hosts.mount import Mount
from node.http.gateway.hosts.redirect import Redirect
from node.http.gateway.hosts.target import Target
from node.http.gateway.paths.request import RequestPath, content_text
from node.names.name import IpnsName, NamePath
from node.parts import Parts


def is_name_path(escaped: str, mount: Mount) -> bool:
    """Whether a URL's path at that mount begins with a mutable name."""
    return (mount.prefix or escaped).startswith("/ipns/")


def parse_name_path(target: Target, mount: Mount) -> NamePath:
    """The name and the segments below it. Raises BadName, BadPath, and Redirect to a key's one form."""
    path = NamePath.parse(content_text(target.path, mount))
    if not mount.isolated:
        _check_form(path, target)
    return path


def _check_form(path: NamePath, target: Target) -> None:
    """A key that is written in another way is redirected by 302, for its content may move (boxo)."""
    asked = target.path.split("/", 3)[2]
    if isinstance(path.name, IpnsName) and asked != str(path.name):
        rest = target.path.partition(f"/ipns/{asked}")[2]
        raise Redirect(target.with_query(f"/ipns/{path.name}{rest}"), 302)


async def resolve_name(parts: Parts, path: NamePath, escaped: str, mount: Mount) -> RequestPath:
    """The content that the name leads to now. Raises NamesError, TimeoutError."""
    seconds = parts.config.gateway.first_byte_timeout
    try:
        async with asyncio.timeout(seconds):
            found = await parts.names.resolve(path, fetch=mount.policy.fetch)
    except TimeoutError:
        raise TimeoutError(f"where {path.name} leads was not known in {seconds:g} s") from None
    text = content_text(escaped, mount)
    return RequestPath(
        escaped,
        text,
        content=found.path,
        root=str(path.name),
        slash=text.endswith("/"),
        namespace="ipns",
        below=path.segments,
        ttl=found.ttl,
        mount=mount,
    )
