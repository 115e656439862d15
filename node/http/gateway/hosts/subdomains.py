"""From a host to the mount of its content, names looked up (specs: subdomain gateway, DNSLink)."""

from __future__ import annotations

from dataclasses import replace

from blockstore.cid import CID
from blockstore.errors import BadCid, BadPath
from node.http.gateway.hosts import labels
from node.http.gateway.hosts.hosts import ForeignHost, GatewayHost, Host, PathHost, Subdomain
from node.http.gateway.hosts.mount import Mount
from node.http.gateway.hosts.redirect import Redirect
from node.http.gateway.hosts.target import Target
from node.names.errors import BadName
from node.names.name import DomainName, IpnsName, Name, parse_name
from node.names.names import Names


async def mount_of(host: Host, target: Target, names: Names) -> Mount:
    """Where the content of a request to that host hangs. Raises BadRequest, BadPath, BadName, Redirect."""
    if isinstance(host, PathHost):
        return host.paths
    if isinstance(host, GatewayHost):
        return await _gateway_mount(host, target, names)
    if isinstance(host, ForeignHost):
        return await _dnslink_mount(host.name, host.paths, names)
    if host.namespace == "ipfs":
        return _cid_mount(host, target)
    return await _name_mount(host, target, names)


async def _gateway_mount(host: GatewayHost, target: Target, names: Names) -> Mount:
    """Content paths are redirected to a subdomain; one that does not parse gets its error as a path."""
    _, namespace, root, *_rest = *target.path.split("/", 3), "", ""
    if namespace not in ("ipfs", "ipns"):
        has_site = host.paths.policy.dnslink
        return await _dnslink_mount(host.name, host.paths, names) if has_site else host.paths
    label = _cid_label(root) if namespace == "ipfs" else await _name_label(root, names)
    if not label:
        return host.paths
    path = target.path.partition(f"/{namespace}/{root}")[2]
    raise Redirect(target.url_at(f"{label}.{namespace}.{host.authority}", path))


async def _dnslink_mount(host: str, paths: Mount, names: Names) -> Mount:
    return replace(paths, prefix=f"/ipns/{host}") if await names.has_dnslink(host) else paths


def _cid_mount(host: Subdomain, target: Target) -> Mount:
    try:
        cid = CID.parse(host.label)
    except BadCid as error:
        raise BadPath(f'invalid path "/ipfs/{host.label}": {error}') from None
    if (label := labels.of_cid(cid)) != host.label:
        raise Redirect(target.url_at(f"{label}.ipfs.{host.gateway}", target.path))
    return Mount(f"/ipfs/{label}", host.gateway, host.paths.policy)


async def _name_mount(host: Subdomain, target: Target, names: Names) -> Mount:
    try:
        key = IpnsName.parse(host.label)
    except BadName:
        return Mount(f"/ipns/{await _domain_of_label(host.label, names)}", host.gateway, host.paths.policy)
    if (label := labels.of_name(key)) != host.label:
        raise Redirect(target.url_at(f"{label}.ipns.{host.gateway}", target.path))
    return Mount(f"/ipns/{label}", host.gateway, host.paths.policy)


async def _domain_of_label(label: str, names: Names) -> DomainName:
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
