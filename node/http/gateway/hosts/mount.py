"""What a host makes of a URL's path: where its content hangs, and what is given of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from node.config.host_policy import HostPolicy

_EVERYTHING = HostPolicy()


@dataclass(frozen=True, slots=True)
class Mount:
    """Where the content of a host hangs, nowhere on a path gateway, and the policy for it.

    `prefix` is `/ipfs/<cid>` or `/ipns/<name>`, empty on a path gateway. `gateway` is the host (with its
    port) of the gateway that a subdomain belongs to; empty for a host that is a DNSLink's own.
    """

    prefix: str = ""
    gateway: str = ""
    policy: HostPolicy = _EVERYTHING

    @property
    def isolated(self) -> bool:
        """Whether the content has an origin of its own in browsers."""
        return bool(self.prefix)

    def stored_only(self) -> Mount:
        """The same mount under a policy that fetches nothing."""
        return replace(self, policy=replace(self.policy, fetch=False))


PATHS = Mount()
