"""Multiaddresses in binary, as peers send them, and their text (multiformats: the table of multicodecs).

Of every transport that is usual in 2026, dialled by this node or not: what peers say of others is passed on.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

import libipld

from blockstore.common import varint

MAX_BYTES = 1024
"""Of one address in binary."""

_FLAGS = {
    "p2p-circuit": 290,
    "webrtc-direct": 280,
    "webrtc": 281,
    "https": 443,
    "tls": 448,
    "noise": 454,
    "quic": 460,
    "quic-v1": 461,
    "webtransport": 465,
    "ws": 477,
    "wss": 478,
    "http": 480,
}
_NAMES = {"ip6zone": 42, "dns": 53, "dns4": 54, "dns6": 55, "dnsaddr": 56, "sni": 449}
_PORTS = {"tcp": 6, "udp": 273}
_CODES = {**_FLAGS, **_NAMES, **_PORTS, "ip4": 4, "ip6": 41, "p2p": 421, "certhash": 466}
_WORDS = {code: word for word, code in _CODES.items()}
_FIXED = {"ip4": 4, "ip6": 16, "tcp": 2, "udp": 2}


class BadMultiaddress(ValueError):
    """No multiaddress, or one with a protocol that is not known here."""


def to_text(data: bytes) -> str:
    """Raises BadMultiaddress."""
    if not 0 < len(data) <= MAX_BYTES:
        raise BadMultiaddress(f"a multiaddress of {len(data)} bytes")
    parts, at = [""], 0
    try:
        while at < len(data):
            code, at = varint.decode(data, at)
            word = _WORDS[code]
            parts.append(word)
            if word not in _FLAGS:
                size, at = (_FIXED[word], at) if word in _FIXED else varint.decode(data, at)
                parts.append(_shown(word, _exactly(data[at : at + size], size)))
                at += size
    except (ValueError, KeyError) as error:
        raise BadMultiaddress(f"not a multiaddress: {error!r}") from None
    return "/".join(parts)


def to_bytes(text: str) -> bytes:
    """Raises BadMultiaddress."""
    parts = iter(text.split("/")[1:])
    data = bytearray()
    try:
        for word in parts:
            data += varint.encode(_CODES[word])
            if word not in _FLAGS:
                value = _READ.get(word, _name)(next(parts))
                data += value if word in _FIXED else varint.encode(len(value)) + value
    except (ValueError, KeyError, OverflowError, StopIteration) as error:
        raise BadMultiaddress(f"{text[:200]!a} is no multiaddress: {error!r}") from None
    if not text.startswith("/") or not 0 < len(data) <= MAX_BYTES:
        raise BadMultiaddress(f"{text[:200]!a} is no multiaddress")
    return bytes(data)


def _exactly(value: bytes, size: int) -> bytes:
    if len(value) != size or not size:
        raise ValueError("it is cut short")
    return value


def _shown(word: str, value: bytes) -> str:
    if word in _PORTS:
        return str(int.from_bytes(value))
    if word in ("ip4", "ip6"):
        return str(ipaddress.ip_address(value))
    if word in ("p2p", "certhash"):
        text = str(libipld.encode_multibase("z" if word == "p2p" else "u", value))
        return text.removeprefix("z") if word == "p2p" else text
    return _printable(value.decode())


def _printable(name: str) -> str:
    """A name of ASCII without a slash: it goes into lines, logs and URLs."""
    if not name.isascii() or not name.isprintable() or "/" in name or " " in name:
        raise ValueError("a name with odd characters")
    return name


def _name(text: str) -> bytes:
    return _printable(text).encode() or _exactly(b"", 1)


def _port(text: str) -> bytes:
    if not (text.isascii() and text.isdecimal() and len(text) <= 5):
        raise ValueError("no port")
    return int(text).to_bytes(2)


def _peer(text: str) -> bytes:
    return bytes(libipld.decode_multibase("z" + text)[1]) if text else _exactly(b"", 1)


_READ: dict[str, Callable[[str], bytes]] = {
    "ip4": lambda text: ipaddress.IPv4Address(text).packed,
    "ip6": lambda text: ipaddress.IPv6Address(text).packed if "%" not in text else _exactly(b"", 1),
    "tcp": _port,
    "udp": _port,
    "p2p": _peer,
    "certhash": lambda text: bytes(libipld.decode_multibase(text)[1]),
}
