"""Lines of a denylist as rules (IPIP-383, compact denylist format; ipfs-shipyard/nopfs)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote_plus

import libipld

from blockstore import hashing
from blockstore.cid import CID, SHA2_256
from blockstore.common import varint
from blockstore.errors import BadCid
from node.denylist.errors import BadRule

MAX_HEADER = 1 << 20  # bytes
MAX_LINE = 2 << 20  # bytes

ALLOWED, BLOCKED, LEGALLY_BLOCKED = 0, 410, 451
Verdict = int
"""ALLOWED, or the HTTP status of what is blocked."""

HASHES = {code: name for name, (code, _) in hashing.FUNCTIONS.items() if code}
"""Functions that double hashes may be made with; the identity hides nothing."""

_HEX = re.compile(r"[0-9a-fA-F]{64}")
_MAX_BASE58 = 200
# Empty files and directories: every node needs them, and lists that name them do it by mistake.
_HARMLESS = frozenset(
    CID.parse(text).multihash
    for text in (
        "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn",
        "bafyaabakaieac",
        "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku",
        "bafkqaaa",
        "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH",
        "bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua",
        "baguqeeraiqjw7i2vwntyuekgvulpp2det2kpwt6cd7tx5ayqybqpmhfk76fa",
    )
)


@dataclass(frozen=True, slots=True)
class PathPattern:
    """A path below a root, without slashes at its ends; or, as a prefix, everything that begins with it."""

    path: str = ""
    prefix: bool = False

    @classmethod
    def parse(cls, text: str) -> PathPattern:
        bare = text.removesuffix("*")
        prefix = bare != text
        return cls(unquote_plus(bare.removesuffix("/") if prefix else bare).strip("/"), prefix)

    def matches(self, path: str) -> bool:
        return path.startswith(self.path) if self.prefix else path == self.path


@dataclass(frozen=True, slots=True)
class ContentRule:
    """About the DAG under a multihash."""

    multihash: bytes
    pattern: PathPattern
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class NameRule:
    """About a mutable name: the multihash of a key, or a domain name."""

    name: bytes | str
    pattern: PathPattern
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class DoubleHashRule:
    """About what hashes to one of these multihashes (hex text may also be base58)."""

    multihashes: tuple[bytes, ...]
    verdict: Verdict


Rule = ContentRule | NameRule | DoubleHashRule


def parse_rule(line: str, legal: bool) -> Rule | None:
    """One line; None for comments, blank lines and rules about empty content. Raises BadRule.

    `legal`: whether the header says that its rules have legal reasons. `!`, `-` and `+` allow.
    """
    words = line.split()
    if not words or words[0].startswith("#"):
        return None
    text = words[0]
    verdict = _verdict(words[1:], legal)
    if text[0] in "!-+":
        text, verdict = text[1:], ALLOWED
    if text.startswith("//"):
        return DoubleHashRule(_double_hash(text[2:]), verdict)
    kind, _, rest = text.removeprefix("/").partition("/")
    root, _, path = rest.partition("/")
    if kind in ("ipfs", "ipld"):
        multihash = _cid(root).multihash
        return None if multihash in _HARMLESS else ContentRule(multihash, PathPattern.parse(path), verdict)
    if kind == "ipns" and root:
        return NameRule(_name(root), PathPattern.parse(path), verdict)
    raise BadRule(f'"{text[:100]}" is neither /ipfs/…, /ipns/… nor //…')


def header_is_legal(header: str) -> bool:
    """Whether the hints of a header give its rules legal reasons. Raises BadRule for another version than 1.

    Of its YAML only plain `key: value` lines are looked at.
    """
    fields = [
        line.strip().partition(":") for line in header.splitlines() if not line.lstrip().startswith("#")
    ]
    values = {key.strip(): value.strip().strip("'\"") for key, _, value in fields}
    if values.get("version", "1") != "1":
        raise BadRule(f"its version is {values['version'][:20]}, and only 1 is known")
    return values.get("gateway_status") == str(LEGALLY_BLOCKED)


def _verdict(hints: list[str], legal: bool) -> Verdict:
    for hint in hints:
        key, _, value = hint.replace(":", "=", 1).partition("=")
        if key == "gateway_status":
            legal = value == str(LEGALLY_BLOCKED)
    return LEGALLY_BLOCKED if legal else BLOCKED


def _double_hash(text: str) -> tuple[bytes, ...]:
    found = []
    if _HEX.fullmatch(text):
        found.append(bytes([SHA2_256, 32]) + bytes.fromhex(text))
    if (multihash := _multihash(text)) is not None:
        found.append(multihash)
    if not found:
        raise BadRule(f'"//{text[:100]}" is neither a multihash in base58 nor 64 hex digits')
    return tuple(found)


def _multihash(text: str) -> bytes | None:
    """Of a function that can be computed, at its full length."""
    try:
        data = bytes(libipld.decode_multibase("z" + text)[1]) if len(text) <= _MAX_BASE58 else b""
        code, position = varint.decode(data)
    except ValueError:
        return None
    known = code in HASHES and data[position:] and len(hashing.multihash(b"", HASHES[code])) == len(data)
    return data if known else None


def _cid(text: str) -> CID:
    try:
        return CID.parse(text)
    except BadCid as error:
        raise BadRule(str(error)) from None


def _name(text: str) -> bytes | str:
    try:
        if text.startswith(("Qm", "1")):
            return CID.decode(b"\x01\x72" + bytes(libipld.decode_multibase("z" + text)[1])).multihash
        return CID.parse(text).multihash
    except (BadCid, ValueError):
        return text.lower().removesuffix(".")
