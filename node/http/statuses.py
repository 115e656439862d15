"""Filters of status listings, by ipfs-cluster's names."""

from __future__ import annotations

from cluster.pin import Status
from cluster.status import ERRORS, EVERY_STATUS, QUEUED
from node.http.errors import BadRequest
from node.http.query import comma_list

_NAMES = {
    **{status.value: frozenset({status}) for status in Status},
    "error": ERRORS,
    "queued": QUEUED,
    "sharded": frozenset[Status](),  # known to clients; nothing is ever sharded here
    "undefined": frozenset[Status](),
}
_PIN_TYPES = frozenset(("pin", "meta-pin", "clusterdag-pin", "shard-pin", "all"))


def status_filter(text: str) -> frozenset[Status]:
    """Statuses named in a comma list, all when it is empty; unknown names among known ones are passed over.

    Raises BadRequest when nothing in it is known, or only `undefined`.
    """
    names = comma_list(text)
    known = [name for name in names if name in _NAMES and name != "undefined"]
    if names and not known:
        raise BadRequest("invalid filter value")
    return frozenset().union(*(_NAMES[name] for name in known)) if names else EVERY_STATUS


def wants_pins(text: str) -> bool:
    """Whether a filter of pin types asks for ordinary pins, the only type there is. Raises BadRequest."""
    names = text.split(",") if text else ["all"]
    if not _PIN_TYPES.intersection(names):
        raise BadRequest("invalid filter value")
    return "all" in names or "pin" in names
