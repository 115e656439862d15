"""For whom a pin is kept: marks in its metadata, one for each owner, so that every member knows them.

A pin without marks is the cluster's own, as all are that were pinned without an owner. A pin goes when the
last of its owners lets go of it.

    pinfold.owner/              the cluster itself, beside others
    pinfold.owner/alice         alice
    pinfold.owner/alice/12D3…   alice, by requests that this member keeps
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType

RESERVED = "pinfold."
"""Begins the keys of metadata that no user gives."""

_MARK = f"{RESERVED}owner/"
CLUSTER = _MARK
"""The mark of the cluster itself. It is written only where there are others beside it."""


def mark_of(owner: str, requests_at: str = "") -> str:
    """`requests_at`: the member that keeps the requests which the pin is held for; empty = the pin itself."""
    return f"{_MARK}{owner}/{requests_at}" if requests_at else f"{_MARK}{owner}"


def marks_of(metadata: Mapping[str, str]) -> frozenset[str]:
    """The marks that are written there."""
    if not metadata:
        return frozenset()
    return frozenset(key for key in metadata if key.startswith(_MARK))


def holding(metadata: Mapping[str, str]) -> frozenset[str]:
    """The marks of all that a pin which is there is kept for."""
    return marks_of(metadata) or frozenset((CLUSTER,))


def held_for(metadata: Mapping[str, str], owner: str) -> frozenset[str]:
    """Those of the marks that are that owner's, by whatever way it pinned."""
    own = mark_of(owner)
    return frozenset(mark for mark in holding(metadata) if mark == own or mark.startswith(f"{own}/"))


def marked(metadata: Mapping[str, str], marks: Collection[str]) -> Mapping[str, str]:
    """The same metadata with exactly these marks."""
    told = () if frozenset(marks) == {CLUSTER} else marks
    if not told and not marks_of(metadata):
        return metadata
    return MappingProxyType(dict(sorted([*_unmarked(metadata), *((mark, "") for mark in told)])))


def united(kept: Mapping[str, str], others: Iterable[Mapping[str, str]]) -> Mapping[str, str]:
    """`kept` with the marks of all that were written beside it, each by who did not see the others."""
    every = [holding(kept), *map(holding, others)]
    return marked(kept, frozenset().union(*every)) if any(one != every[0] for one in every) else kept


def _unmarked(metadata: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    return ((key, value) for key, value in metadata.items() if not key.startswith(_MARK))
