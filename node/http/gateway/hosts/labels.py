"""CIDs, keys and domain names as one DNS label (spec: subdomain gateway, RFC 1035 section 2.3.4)."""

from __future__ import annotations

from blockstore.cid import CID
from node.http.errors import BadRequest
from node.names.name import DomainName, IpnsName, Name

MAX_LABEL = 63


def of_cid(cid: CID) -> str:
    """Base32, or base36 where only that is short enough. Raises BadRequest."""
    for base in ("b", "k"):
        if len(text := cid.in_base(base)) <= MAX_LABEL:
            return text
    raise BadRequest(f"CID incompatible with DNS label length limit of {MAX_LABEL}: {cid}")


def of_name(name: Name) -> str:
    """A key in base36, a domain name inlined. Raises BadRequest."""
    text = str(name) if isinstance(name, IpnsName) else inlined(name)
    if len(text) > MAX_LABEL:
        kind = "CID" if isinstance(name, IpnsName) else "name"
        raise BadRequest(f"{kind} incompatible with DNS label length limit of {MAX_LABEL}: {name}")
    return text


def inlined(name: DomainName) -> str:
    """`my-site.example.org` as `my--site-example-org`: it fits a wildcard certificate of one level."""
    return str(name).replace("-", "--").replace(".", "-")


def uninlined(label: str) -> str:
    """The other way round."""
    return "-".join(part.replace("-", ".") for part in label.split("--"))
