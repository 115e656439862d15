"""Hosts that give only what a client can verify (spec: trustless gateway; boxo's DeserializedResponses)."""

from __future__ import annotations

from node.http.gateway.formats.negotiation import Asked, NotAcceptable
from node.names.errors import BadName
from node.names.name import IpnsName

_ADVICE = "ask for ?format=raw or ?format=car of /ipfs/<cid>, or ?format=ipns-record of /ipns/<key>"


def check(path: str, asked: Asked) -> None:
    """`path`: of the content, decoded. Raises NotAcceptable.

    A block has no path below its CID, a record none below its name; a DNSLink is no proof of anything.
    """
    namespace, root, *below = path.strip("/").split("/")[:3] + [""] * 2
    alone = not any(below)
    if namespace == "ipns":
        if asked.format == "ipns-record" and alone and _is_key(root):
            return
    elif asked.format == "car" or (asked.format == "raw" and alone):
        return
    raise NotAcceptable(f"this host gives only what can be verified: {_ADVICE}")


def _is_key(name: str) -> bool:
    try:
        IpnsName.parse(name)
    except BadName:
        return False
    return True
