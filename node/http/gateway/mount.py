"""What stands before the path of a URL: nothing on a path gateway, a content root on an origin of its own."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mount:
    """Where the content of a host hangs.

    `prefix` is `/ipfs/<cid>` or `/ipns/<name>`, empty on a path gateway. `gateway` is the host (with its
    port) of the gateway that a subdomain belongs to; empty for a host that is a DNSLink's own.
    """

    prefix: str = ""
    gateway: str = ""

    @property
    def isolated(self) -> bool:
        """Whether the content has an origin of its own in browsers."""
        return bool(self.prefix)


PATHS = Mount()
