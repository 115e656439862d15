"""What the gateway gives at a host: settings for all of them, and words that change these for one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace


class BadHostPolicy(ValueError):
    """An entry of `gateway.hosts` that does not read; the text says why."""


@dataclass(frozen=True, slots=True)
class HostPolicy:
    """`trustless`: only what a client can verify. `fetch`: content that is not here is asked for elsewhere.

    `only_pinned`: only what the cluster pins. `dnslink`: the host's own DNSLink leads to its content.
    """

    trustless: bool = False
    fetch: bool = True
    only_pinned: bool = False
    dnslink: bool = True


_WORDS: Mapping[str, tuple[str, bool]] = {
    "trustless": ("trustless", True),
    "deserialized": ("trustless", False),
    "fetch": ("fetch", True),
    "no-fetch": ("fetch", False),
    "only-pinned": ("only_pinned", True),
    "any-content": ("only_pinned", False),
    "dnslink": ("dnslink", True),
    "no-dnslink": ("dnslink", False),
}
WORDS = ", ".join(_WORDS)
_HOST = re.compile(r"\[[0-9a-f:.]+\]|[a-z0-9_-]+(\.[a-z0-9_-]+)*")


def read_hosts(entries: tuple[str, ...], policy: HostPolicy) -> dict[str, HostPolicy]:
    """By host name in lower case, `policy` being that of all others. Raises BadHostPolicy.

    An entry is a host without a port, then words, with spaces between.
    """
    found: dict[str, HostPolicy] = {}
    for entry in entries:
        host, *words = entry.lower().split() or [""]
        if not _HOST.fullmatch(host):
            raise BadHostPolicy(f'"{host}" is no host name')
        if host in found:
            raise BadHostPolicy(f"{host} is there twice")
        found[host] = replace(policy, **_changes(host, words))
    return found


def _changes(host: str, words: list[str]) -> dict[str, bool]:
    changes: dict[str, bool] = {}
    for word in words:
        if word not in _WORDS:
            raise BadHostPolicy(f'{host}: "{word}" is none of {WORDS}')
        name, value = _WORDS[word]
        if changes.setdefault(name, value) != value:
            raise BadHostPolicy(f'{host}: "{word}" contradicts another word')
    return changes
