"""Filters of status listings, by ipfs-cluster's names."""

from __future__ import annotations

from collections.abc import Collection

from cluster.pin import Status
from cluster.tracking.status import ERRORS, EVERY_STATUS, QUEUED
from node.http.errors import BadRequest
from node.http.go.query_values import comma_list

_NAMES = {
    **{status.value: frozenset({status}) for status in Status},
    "error": ERRORS,
    "queued": QUEUED,
    "sharded": frozenset[Status](),  # known to clients; nothing is ever sharded here
    "undefined": frozenset[Status](),
}
_PIN_TYPES = frozenset(("pin", "meta-pin", "clusterdag-pin", "shard-pin", "all"))


def status_filter(text: str) -> frozenset[Status]:
    """Statuses named in a comma list, all when it is empty.

    Raises BadRequest for a name that is unknown, which upstream passes over, and for `undefined` alone.
    """
    names = comma_list(text)
    _check(names, _NAMES)
    if set(names) == {"undefined"}:
        raise BadRequest("invalid filter value: nothing is ever undefined here")
    return frozenset().union(*(_NAMES[name] for name in names)) if names else EVERY_STATUS


def wants_pins(text: str) -> bool:
    """Whether a filter of pin types asks for ordinary pins, the only type there is. Raises BadRequest."""
    names = comma_list(text) or ["all"]
    _check(names, _PIN_TYPES)
    return "all" in names or "pin" in names


def _check(names: Collection[str], known: Collection[str]) -> None:
    for name in names:
        if name not in known:
            raise BadRequest(f'invalid filter value: "{name[:64]}" is none of {", ".join(sorted(known))}')
