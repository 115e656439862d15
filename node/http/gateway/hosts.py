"""What a host stands for, by its name alone: nothing is looked up here (spec: subdomain gateway)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

_REMEMBERED = 4096  # hosts

Namespace = Literal["ipfs", "ipns"]


@dataclass(frozen=True, slots=True)
class PathHost:
    """A host of plain paths: an IP address, or one label that is no gateway of ours."""


@dataclass(frozen=True, slots=True)
class GatewayHost:
    """A host whose content paths live on subdomains of it; `authority` is it with its port, as it came."""

    authority: str
    name: str


@dataclass(frozen=True, slots=True)
class Subdomain:
    """`{label}.{namespace}.{gateway}`; a label of a dotted name has dots of its own."""

    label: str
    namespace: Namespace
    gateway: str  # with its port, as it came


@dataclass(frozen=True, slots=True)
class ForeignHost:
    """A name that may have a DNSLink."""

    name: str


Host = PathHost | GatewayHost | Subdomain | ForeignHost

PATH_HOST = PathHost()


class Hosts:
    """Knows the gateway's own hosts; `classify` costs a dict look-up for a host seen lately."""

    def __init__(self, subdomain_hosts: Iterable[str], *, dnslink: bool) -> None:
        self._known = frozenset(host.lower().strip(".") for host in subdomain_hosts)
        self._dnslink = dnslink
        self.classify = lru_cache(_REMEMBERED)(self._classify)

    def _classify(self, authority: str) -> Host:
        """`authority`: a host with its port or without, as in a Host header."""
        host, port = _split(authority)
        name = host.lower()
        if name in self._known:
            return GatewayHost(authority, name)
        for known in self._known:
            if name.endswith("." + known):
                return self._below(host[: -len(known) - 1], known + port)
        if not self._dnslink or "." not in name or _is_address(name):
            return PATH_HOST
        return ForeignHost(name)

    def _below(self, labels: str, gateway: str) -> Host:
        label, _, namespace = labels.rpartition(".")
        if label and namespace.lower() == "ipfs":
            return Subdomain(label, "ipfs", gateway)
        if label and namespace.lower() == "ipns":
            return Subdomain(label, "ipns", gateway)
        return ForeignHost(f"{labels}.{gateway.partition(':')[0]}".lower()) if self._dnslink else PATH_HOST


def _split(authority: str) -> tuple[str, str]:
    """Name and `:port`, empty where there is none; a final dot is left out, brackets of IPv6 stay."""
    host, colon, port = authority.rpartition(":")
    if not colon or "]" in port:
        host, port = authority, ""
    return host.removesuffix("."), port and f":{port}"


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
