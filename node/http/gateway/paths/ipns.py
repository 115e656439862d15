"""Content below mutable names: keys written one way only, names followed to content."""

from __future__ import annotations

import asyncio

from node.http.gateway.hosts.mount import Mount
from node.http.gateway.hosts.target import Moved, Target
from node.http.gateway.paths.request import RequestPath, content_text
from node.names.name import IpnsName, NamePath
from node.parts import Parts


def parse_name_path(escaped: str, mount: Mount) -> NamePath:
    """The name and the segments below it that a URL's path asks for. Raises BadName, BadPath."""
    return NamePath.parse(content_text(escaped, mount))


def canonical(path: NamePath, target: Target) -> Moved | None:
    """The address of a key that was written in another way: 302, for its content may move (boxo)."""
    asked = target.path.split("/", 3)[2]
    if not isinstance(path.name, IpnsName) or asked == str(path.name):
        return None
    rest = target.path.partition(f"/ipns/{asked}")[2]
    query = f"?{target.query}" if target.query else ""
    return Moved(f"/ipns/{path.name}{rest}{query}", 302)


async def followed(parts: Parts, path: NamePath, escaped: str, mount: Mount) -> RequestPath:
    """Where the name leads now. Raises NamesError, TimeoutError."""
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
