"""What a host stands for, by its name alone: nothing is looked up here (spec: subdomain gateway)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from node.config.host_policy import HostPolicy
from node.http.gateway.hosts.mount import PATHS, Mount

_REMEMBERED = 4096  # hosts
_LONGEST = 253 + len(":65535")  # characters of a host that is remembered; longer ones are no names of the DNS

Namespace = Literal["ipfs", "ipns"]


@dataclass(frozen=True, slots=True)
class PathHost:
    """A host of plain paths: an IP address, or one label that is no gateway of ours."""

    paths: Mount = PATHS  # here and below: how the host's plain paths are answered


@dataclass(frozen=True, slots=True)
class GatewayHost:
    """A host whose content paths live on subdomains of it; `authority` is it with its port, as it came."""

    authority: str
    name: str
    paths: Mount = PATHS


@dataclass(frozen=True, slots=True)
class Subdomain:
    """`{label}.{namespace}.{gateway}`; a label of a dotted name has dots of its own."""

    label: str
    namespace: Namespace
    gateway: str  # with its port, as it came
    paths: Mount = PATHS


@dataclass(frozen=True, slots=True)
class ForeignHost:
    """A name that may have a DNSLink."""

    name: str
    paths: Mount = PATHS


Host = PathHost | GatewayHost | Subdomain | ForeignHost


class Hosts:
    """Knows the gateway's own hosts, and what is special at which.

    `policies` are by host name in lower case and hold for every host below it, the longest name first;
    `policy` is that of all others.
    """

    def __init__(
        self,
        subdomain_hosts: Iterable[str],
        policy: HostPolicy,
        policies: Mapping[str, HostPolicy],
    ) -> None:
        known = {host.lower().strip(".") for host in subdomain_hosts}
        self._known = sorted(known, key=len, reverse=True)  # of hosts below each other the longest name first
        self._policies = policies
        self._policy = policy
        self._remembered = lru_cache(_REMEMBERED)(self._classified)

    def classify(self, authority: str) -> Host:
        """`authority`: a host with its port or without, as in a Host header. Seen lately: a dict look-up."""
        return (self._remembered if len(authority) <= _LONGEST else self._classified)(authority)

    def _classified(self, authority: str) -> Host:
        host, port = _split(authority)
        name = host.lower()
        paths = Mount(policy=self._policy_of(name))
        if name in self._known:
            return GatewayHost(authority, name, paths)
        for known in self._known:
            if name.endswith("." + known):
                return _below(host[: -len(known) - 1], known + port, paths)
        return _foreign(name, paths)

    def _policy_of(self, name: str) -> HostPolicy:
        while name and self._policies:
            if policy := self._policies.get(name):
                return policy
            name = name.partition(".")[2]
        return self._policy


def _below(labels: str, gateway: str, paths: Mount) -> Host:
    label, _, namespace = labels.rpartition(".")
    if label and namespace.lower() == "ipfs":
        return Subdomain(label, "ipfs", gateway, paths)
    if label and namespace.lower() == "ipns":
        return Subdomain(label, "ipns", gateway, paths)
    return _foreign(f"{labels}.{gateway.partition(':')[0]}".lower(), paths)


def _foreign(name: str, paths: Mount) -> Host:
    if not paths.policy.dnslink or "." not in name or _is_address(name):
        return PathHost(paths)
    return ForeignHost(name, paths)


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
