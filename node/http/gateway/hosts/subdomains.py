"""Hosts looked up: what hangs on one, and where a request belongs (specs: subdomain gateway, DNSLink)."""

from __future__ import annotations

from dataclasses import replace

from blockstore.cid import CID
from blockstore.errors import BadCid, BadPath
from node.http.gateway.hosts import labels
from node.http.gateway.hosts.hosts import ForeignHost, GatewayHost, Host, PathHost, Subdomain
from node.http.gateway.hosts.mount import Mount
from node.http.gateway.hosts.target import Moved, Target
from node.names.errors import BadName
from node.names.name import DomainName, IpnsName, Name, parse_name
from node.names.names import Names


async def mounted(host: Host, target: Target, names: Names) -> Mount | Moved:
    """Where a request's content hangs. Raises BadRequest, BadPath, BadName."""
    if isinstance(host, PathHost):
        return host.paths
    if isinstance(host, GatewayHost):
        return await _of_gateway(host, target, names)
    if isinstance(host, ForeignHost):
        return await _of_dnslink(host.name, host.paths, names)
    if host.namespace == "ipfs":
        return _of_cid(host, target)
    return await _of_name(host, target, names)


async def _of_gateway(host: GatewayHost, target: Target, names: Names) -> Mount | Moved:
    """Content paths move to a subdomain; what does not parse is left to be told so."""
    _, namespace, root, *_rest = *target.path.split("/", 3), "", ""
    if namespace not in ("ipfs", "ipns"):
        return await _of_dnslink(host.name, host.paths, names) if host.paths.policy.dnslink else host.paths
    label = _cid_label(root) if namespace == "ipfs" else await _name_label(root, names)
    if not label:
        return host.paths
    path = target.path.partition(f"/{namespace}/{root}")[2]
    return Moved(target.at(f"{label}.{namespace}.{host.authority}", path))


async def _of_dnslink(host: str, paths: Mount, names: Names) -> Mount:
    return replace(paths, prefix=f"/ipns/{host}") if await names.has_dnslink(host) else paths


def _of_cid(host: Subdomain, target: Target) -> Mount | Moved:
    try:
        cid = CID.parse(host.label)
    except BadCid as error:
        raise BadPath(f'invalid path "/ipfs/{host.label}": {error}') from None
    if (label := labels.of_cid(cid)) != host.label:
        return Moved(target.at(f"{label}.ipfs.{host.gateway}", target.path))
    return Mount(f"/ipfs/{label}", host.gateway, host.paths.policy)


async def _of_name(host: Subdomain, target: Target, names: Names) -> Mount | Moved:
    try:
        key = IpnsName.parse(host.label)
    except BadName:
        return Mount(f"/ipns/{await _dotted(host.label, names)}", host.gateway, host.paths.policy)
    if (label := labels.of_name(key)) != host.label:
        return Moved(target.at(f"{label}.ipns.{host.gateway}", target.path))
    return Mount(f"/ipns/{label}", host.gateway, host.paths.policy)


async def _dotted(label: str, names: Names) -> DomainName:
    """The name in a subdomain: the one that is inlined where it leads somewhere, else as it stands there."""
    if "." not in label and await names.has_dnslink(name := labels.uninlined(label)):
        return DomainName.parse(name)
    try:
        return DomainName.parse(label)
    except BadName:
        return DomainName.parse(labels.uninlined(label))


def _cid_label(text: str) -> str:
    try:
        return labels.of_cid(CID.parse(text))
    except BadCid:
        return ""


async def _name_label(text: str, names: Names) -> str:
    """Empty where the name leads nowhere."""
    try:
        name: Name = parse_name(text)
    except BadName:
        return ""
    if isinstance(name, DomainName) and not await names.has_dnslink(str(name)):
        return ""
    return labels.of_name(name)
