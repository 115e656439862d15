"""A name that is followed, as its pins say it: every member reads it there, and no other record is kept.

A version is a pin with the mark of an owner of its own (`cluster/common/owners.py`), so that it stays when a
user pins the same CID too; and with metadata that no user gives:

    pinfold.follow                 that there is a follow at all: what is looked for
    pinfold.follow/ipns/k51…/blog  how many versions are kept, and since when this one is the newest
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from blockstore.cid import CID, RAW
from blockstore.errors import BadPath
from cluster.common.owners import RESERVED, mark_of
from cluster.pin import Pin
from node.names.errors import BadName
from node.names.name import NamePath

KEY = f"{RESERVED}follow"
MAX_VERSIONS = 1000
_SHA2_256 = b"\x12\x20"


@dataclass(frozen=True, slots=True)
class Follow:
    """`versions`: how many are kept, the newest among them."""

    path: NamePath
    versions: int

    @property
    def owner(self) -> str:
        """For whom its pins are kept: an owner that no user can be."""
        return f"follow:{hashlib.sha256(str(self.path).encode()).hexdigest()[:32]}"

    @property
    def cid(self) -> CID:
        """What stands for it where a member is elected."""
        return CID.v1(RAW, _SHA2_256 + hashlib.sha256(str(self.path).encode()).digest())

    def metadata(self, since: float) -> Mapping[str, str]:
        """Of the version that is the newest from then on (seconds since 1970)."""
        entry = {f"{KEY}{self.path}": f"{self.versions} {since:.3f}"}
        return MappingProxyType({KEY: "", **entry, mark_of(self.owner): ""})


@dataclass(frozen=True, slots=True)
class FollowedVersion:
    """A pin that is a version of what is followed, the newest since `since`."""

    follow: Follow
    pin: Pin
    since: float


def versions_in(pin: Pin) -> list[FollowedVersion]:
    """What it is a version of; what cannot be read, or was let go of, is left out."""
    found = []
    for key, value in pin.options.metadata.items():
        if not key.startswith(f"{KEY}/") or (version := _read(pin, key.removeprefix(KEY), value)) is None:
            continue
        if mark_of(version.follow.owner) in pin.options.metadata:
            found.append(version)
    return found


def _read(pin: Pin, path: str, value: str) -> FollowedVersion | None:
    versions, _, since = value.partition(" ")
    try:
        follow = Follow(NamePath.parse(path), int(versions))
        found = FollowedVersion(follow, pin, float(since))
    except (BadName, BadPath, ValueError):
        return None
    return found if 0 < follow.versions <= MAX_VERSIONS and str(follow.path) == path else None
