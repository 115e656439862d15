"""Denylists, asked: is this block, or this path, not to be served? Look-ups in dicts, nothing else.

Three gates ask, and none makes another superfluous: `GuardedBlocks` and `ServedBlocks` (blocks.py) for
every block that is read or given to a peer, `GuardedExchange` for every one that is fetched, and
`check_path` in the gateway for every path, because a rule may name a path whose blocks are free elsewhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import libipld

from blockstore import hashing
from blockstore.cid import CID, SHA2_256
from blockstore.common import varint
from blockstore.path import ContentPath
from node.denylist.errors import ContentBlocked, LegallyBlocked
from node.denylist.rules import (
    ALLOWED,
    HASHES,
    LEGALLY_BLOCKED,
    ContentRule,
    DoubleHashRule,
    NameRule,
    PathPattern,
    Rule,
    Verdict,
)
from node.names.name import IpnsName, NamePath

_Patterns = tuple[tuple[PathPattern, Verdict], ...]


class RuleSet:
    """The rules of one list. Of several that fit, the one that was added last counts."""

    def __init__(self) -> None:
        self._content: dict[bytes, _Patterns] = {}
        self._names: dict[bytes | str, _Patterns] = {}
        self._doubles: dict[int, dict[bytes, Verdict]] = {}

    def add(self, rule: Rule) -> None:
        if isinstance(rule, DoubleHashRule):
            for multihash in rule.multihashes:
                self._doubles.setdefault(varint.decode(multihash)[0], {})[multihash] = rule.verdict
        elif isinstance(rule, ContentRule):
            self._content[rule.multihash] = _with(self._content.get(rule.multihash, ()), rule)
        else:
            self._names[rule.name] = _with(self._names.get(rule.name, ()), rule)

    def of_content(self, root: CID, path: str = "") -> Verdict | None:
        """About `path` below that root, without slashes at its ends; None where no rule fits."""
        found = _last(self._content.get(root.multihash, ()), path)
        if found is None and self._doubles:
            found = self._of_hidden(f"{root.as_v1().in_base('b')}/{path}", _joined(_base58(root), path))
        return found

    def of_name(self, name: IpnsName | str, path: str = "") -> Verdict | None:
        """The same below a mutable name."""
        if isinstance(name, IpnsName):
            found = _last(self._names.get(name.multihash, ()), path)
            old, new = f"{name.cid.in_base('b')}/{path}", _joined(name.peer_id, path)
        else:
            found = _last(self._names.get(name, ()), path)
            old, new = f"{name}/{path}", _joined(f"/ipns/{name}", path)
        return self._of_hidden(old, new) if found is None and self._doubles else found

    def _of_hidden(self, old: str, new: str) -> Verdict | None:
        """Double hashes: of the older form by sha2-256, of the present one by every function in use."""
        for code, hidden in self._doubles.items():
            if code == SHA2_256:
                found = hidden.get(b"\x12\x20" + hashlib.sha256(_octets(old)).digest())
                if found is not None:
                    return found
            found = hidden.get(hashing.multihash(_octets(new), HASHES[code]))
            if found is not None:
                return found
        return None


class Denylist:
    """Every list that is in force; the first that says anything about a thing decides."""

    def __init__(
        self, rule_sets: Callable[[], Sequence[RuleSet]], version: Callable[[], int] = lambda: 0
    ) -> None:
        self._rule_sets = rule_sets
        self._version = version

    @property
    def version(self) -> int:
        """Another one after each change of the lists."""
        return self._version()

    def blocks(self, cid: CID) -> bool:
        """Whether that block is not to be served, fetched or given to peers."""
        return bool(self._verdict(lambda rules: rules.of_content(cid))) if self._rule_sets() else False

    def check_cid(self, cid: CID) -> None:
        """Raises ContentBlocked, or LegallyBlocked."""
        if self._rule_sets():
            _enforce(cid, self._verdict(lambda rules: rules.of_content(cid)))

    def check_path(self, path: ContentPath | NamePath) -> None:
        """A path as it was asked for or as it was resolved; check both. Raises as `check_cid`."""
        if not self._rule_sets():
            return
        rest = "/".join(path.segments)
        if isinstance(path, ContentPath):
            root = path.root
            _enforce(path, self._verdict(lambda rules: rules.of_content(root, rest)))
        else:
            name = path.name if isinstance(path.name, IpnsName) else path.name.text
            _enforce(path, self._verdict(lambda rules: rules.of_name(name, rest)))

    def _verdict(self, ask: Callable[[RuleSet], Verdict | None]) -> Verdict:
        for rules in self._rule_sets():
            if (found := ask(rules)) is not None:
                return found
        return ALLOWED


def _enforce(what: object, verdict: Verdict) -> None:
    if verdict != ALLOWED:
        raise (LegallyBlocked if verdict == LEGALLY_BLOCKED else ContentBlocked)(what)


def _with(patterns: _Patterns, rule: ContentRule | NameRule) -> _Patterns:
    """In place of an equal pattern, so that a list that repeats itself does not grow."""
    others = tuple(entry for entry in patterns if entry[0] != rule.pattern)
    return (*others, (rule.pattern, rule.verdict))


def _last(patterns: _Patterns, path: str) -> Verdict | None:
    return next((verdict for pattern, verdict in reversed(patterns) if pattern.matches(path)), None)


def _base58(cid: CID) -> str:
    return str(libipld.encode_multibase("z", cid.multihash))[1:]


def _joined(root: str, path: str) -> str:
    return f"{root}/{path}" if path else root


def _octets(text: str) -> bytes:
    return text.encode(errors="surrogateescape")
