"""Mutable names and the paths below them: the name of a key (IPNS), or a domain name (DNSLink)."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import quote

import idna
import libipld

from blockstore.cid import CID, DAG_PB, IDENTITY, LIBP2P_KEY, SHA2_256
from blockstore.errors import BadCid, BadPath
from blockstore.path import MAX_PATH, ContentPath, clean_segments, path_of_uri
from node.names.errors import BadName, BadRecord

_MAX_BASE58 = 128
_MAX_DOMAIN = 253
_MAX_UNICODE = 1024  # characters that are looked at; as A-labels they are longer
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")


@dataclass(frozen=True, slots=True)
class IpnsName:
    """The multihash of a public key. Its text is the canonical one: CIDv1, libp2p-key, base36."""

    multihash: bytes

    @classmethod
    def parse(cls, text: str) -> IpnsName:
        """From a peer id in base58, or a CID of a key in any base, dag-pb codec included. Raises BadName."""
        try:
            if text.startswith(("Qm", "1")) and len(text) <= _MAX_BASE58:
                multihash = bytes(libipld.decode_multibase("z" + text)[1])
                return cls.of(CID.decode(b"\x01\x72" + multihash))
            return cls.of(CID.parse(text))
        except (BadCid, ValueError):
            raise BadName(f'"{text[:200]}" is not the name of a key') from None

    @classmethod
    def of(cls, cid: CID) -> IpnsName:
        """Raises BadName for a CID that names no key."""
        if cid.codec not in (LIBP2P_KEY, DAG_PB) or cid.hash_code not in (IDENTITY, SHA2_256):
            raise BadName(f"{cid} is not the name of a key")
        return cls(cid.multihash)

    def __str__(self) -> str:
        return self.cid.in_base("k")

    @property
    def cid(self) -> CID:
        return CID.v1(LIBP2P_KEY, self.multihash)

    @property
    def peer_id(self) -> str:
        """The same in base58, as libp2p writes it."""
        return str(libipld.encode_multibase("z", self.multihash))[1:]

    def public_key(self, embedded: bytes) -> bytes:
        """The `PublicKey` message: the one in the name, else the record's own, which must hash to the name.

        Raises BadRecord.
        """
        if self.cid.is_identity:
            return self.cid.digest
        if not embedded:
            raise BadRecord("the record lacks the public key, and the name does not hold it")
        if hashlib.sha256(embedded).digest() != self.cid.digest:
            raise BadRecord("the public key in the record is not the one of the name")
        return embedded


@dataclass(frozen=True, slots=True)
class DomainName:
    """A domain name in lower-case A-labels, without the final dot."""

    text: str

    @classmethod
    def parse(cls, text: str) -> DomainName:
        """At least two labels; an IP address is none. Raises BadName."""
        name = text.removesuffix(".").lower()
        try:
            if not name.isascii() and len(name) <= _MAX_UNICODE:
                name = idna.encode(name, uts46=True).decode()
        except idna.IDNAError as error:
            raise BadName(f'"{text[:200]}" is not a domain name: {error}') from None
        labels = name.split(".")
        if len(name) > _MAX_DOMAIN or len(labels) < 2 or not all(map(_LABEL.fullmatch, labels)):
            raise BadName(f'"{text[:200]}" is neither the name of a key nor a domain name')
        if _is_address(name):
            raise BadName(f'"{text[:200]}" is an IP address, not a domain name')
        return cls(name)

    def __str__(self) -> str:
        return self.text


Name = IpnsName | DomainName


@dataclass(frozen=True, slots=True)
class NamePath:
    """A mutable name and the path segments below what it leads to, decoded."""

    name: Name
    segments: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> NamePath:
        """From `/ipns/<name>/a/b`, or a URI of that (see `path_of_uri`).

        Raises BadName, BadPath.
        """
        path = path_of_uri(text)
        if len(text) > MAX_PATH or "\0" in path:
            raise BadPath(f"path is above {MAX_PATH} characters, or has a NUL in it")
        if not path.startswith("/ipns/"):
            raise BadPath(f'invalid path "{text[:200]}": it does not begin with /ipns/')
        name, _, rest = path[len("/ipns/") :].partition("/")
        try:
            return cls(parse_name(name), clean_segments(rest))
        except BadName:
            raise
        except ValueError as error:
            raise BadPath(f'invalid path "{text[:200]}": {error}') from None

    def __str__(self) -> str:
        return "/".join(("/ipns", str(self.name), *self.segments))

    def uri(self) -> str:
        """`ipns://` with the canonical name, each segment percent-encoded (IPIP-548)."""
        return "/".join((f"ipns://{self.name}", *(quote_segment(segment) for segment in self.segments)))


Target = ContentPath | NamePath


def parse_name(text: str) -> Name:
    """Raises BadName."""
    try:
        return IpnsName.parse(text)
    except BadName:
        return DomainName.parse(text)


def parse_target(text: str) -> Target:
    """Where a record or a DNSLink leads: `/ipfs/…` or `/ipns/…`. Raises BadName, BadPath."""
    if text.startswith("/ipns/"):
        return NamePath.parse(text)
    if not text.startswith("/ipfs/"):
        raise BadPath(f'"{text[:200]}" does not begin with /ipfs/ or /ipns/')
    return ContentPath.parse(text)


def below(target: Target, segments: tuple[str, ...]) -> Target:
    """The path `segments` further down."""
    if isinstance(target, ContentPath):
        return ContentPath(target.root, target.segments + segments)
    return NamePath(target.name, target.segments + segments)


def quote_segment(segment: str) -> str:
    """A path segment in a URL: only unreserved characters stay, escapes in upper case."""
    return quote(segment.encode(errors="surrogateescape"), safe="-_.~")


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
