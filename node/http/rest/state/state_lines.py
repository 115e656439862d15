"""A line of an ipfs-cluster state export as a pin that moves in: options, time and past as they are there.

Members that it was allocated to and that belong to this cluster too come first when it is placed here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from types import MappingProxyType

from cluster.allocation.pin_options import check_texts
from cluster.pin import EVERYWHERE, GrantAsk, PinMode, PinOptions, Wish
from node.http.errors import BadRequest
from node.http.go.durations import parse_time
from node.http.go.gojson import ZERO_TIME
from node.http.rest.bulk.json_line import JsonFields, cid_of, json_object
from node.http.rest.bulk.pin_lines import line_query, texts_of
from node.http.rest.pin_options import pin_wish

_PLACED = (
    "cid",
    "type",
    "allocations",
    "max_depth",
    "reference",
    "timestamp",
)  # of a pin, beside its options
_DEPTHS = {-1: PinMode.RECURSIVE, 0: PinMode.DIRECT}
_SHARDED = ("meta-pin", "clusterdag-pin", "shard-pin")
_OLD = "this is an export of ipfs-cluster before 1.0: let a release from 1.0 on export it again"


class OtherFormat(BadRequest):
    """A file that is no state export at all, or one of a release that is not read."""


class StateLines:
    """Lines of one file; `low` and `high`, where not 0, are the replication factors of all of its pins."""

    def __init__(
        self, members: Collection[str], low: int = 0, high: int = 0, now: Callable[[], float] = time.time
    ) -> None:
        self._members = members
        self._factors = {"replication_factor_min": low, "replication_factor_max": high}
        self._now = now
        self._begun = False

    def parse(self, line: bytes) -> GrantAsk:
        """Raises BadRequest, BadPinValue; OtherFormat for a first line that shows what kind of file it is."""
        fields = self._fields(line)
        _check_type(fields)
        options = {name: value for name, value in fields.items() if name not in _PLACED}
        options |= {name: factor for name, factor in self._factors.items() if factor}
        options["mode"] = _mode(fields).value
        plain = _plain_options(options)
        wish = Wish(plain) if plain is not None else pin_wish(self._query(options), self._now)
        return GrantAsk(cid_of(fields), wish, self._holders(fields), created=self._created(fields))

    def _query(self, options: JsonFields) -> dict[str, str]:
        """A deadline that has passed since says nothing any more: most of these pins are pinned."""
        query = line_query(options)
        with suppress(ValueError):
            if parse_time(query.get("deadline", "")) <= self._now():
                del query["deadline"]
        return query

    def _fields(self, line: bytes) -> JsonFields:
        begun, self._begun = self._begun, True
        try:
            fields = json_object(line)
        except BadRequest as error:
            if begun:
                raise
            raise OtherFormat(f"this is no state export of ipfs-cluster: {error}") from None
        if isinstance(fields.get("cid"), dict) or isinstance(fields.get("type"), int):
            raise BadRequest(_OLD) if begun else OtherFormat(_OLD)
        if not begun and "cid" not in fields:
            raise OtherFormat('this is no state export of ipfs-cluster: its first line has no "cid"')
        return fields

    def _holders(self, fields: JsonFields) -> tuple[str, ...]:
        found = fields.get("allocations") or []
        if not isinstance(found, list):
            raise BadRequest("field allocations invalid: a list of texts is needed")
        return tuple(peer for peer in found if isinstance(peer, str) and peer in self._members)

    def _created(self, fields: JsonFields) -> float:
        text = fields.get("timestamp") or ZERO_TIME
        if text == ZERO_TIME:
            return self._now()
        try:
            return parse_time(text) if isinstance(text, str) else _not_a_time()
        except ValueError as error:
            raise BadRequest(f"timestamp cannot be parsed: {error}") from None


def _not_a_time() -> float:
    raise ValueError("a text is needed")


def _check_type(fields: JsonFields) -> None:
    kind = fields.get("type", "pin")
    if kind in _SHARDED:
        raise BadRequest(
            f'type "{kind}": shards are not kept here; pin the root of that DAG whole, with `pinfold pin add`'
        )
    if kind != "pin":
        raise BadRequest(f'type "{str(kind)[:64]}" is none that a pin can have')
    if fields.get("reference") is not None:
        raise BadRequest("field reference invalid: only shards have one")


def _mode(fields: JsonFields) -> PinMode:
    """ipfs-cluster keeps the depth, and shows the mode that follows from it."""
    depth, mode = fields.get("max_depth"), fields.get("mode") or None
    if depth is None:
        depth = 0 if mode == PinMode.DIRECT else -1
    if isinstance(depth, bool) or not isinstance(depth, int) or depth not in _DEPTHS:
        raise BadRequest("field max_depth invalid: -1 (a whole DAG) or 0 (one block)")
    if mode not in (None, _DEPTHS[depth]):
        raise BadRequest(f'mode "{str(mode)[:64]}" contradicts max_depth {depth}')
    return _DEPTHS[depth]


def _plain_options(fields: JsonFields) -> PinOptions | None:
    """Of a line with nothing rare in it; None leaves it to the general way."""
    low, high = fields.get("replication_factor_min", 0), fields.get("replication_factor_max", 0)
    name, metadata = fields.get("name", ""), fields.get("metadata")
    rare = fields.keys() - _PLAIN or any(fields.get(field) for field in _SELDOM)
    ends = fields.get("expire_at", ZERO_TIME) not in (ZERO_TIME, None)
    if rare or ends or not _is_plain(low, high) or not isinstance(name, str):
        return None
    texts = MappingProxyType(dict(sorted(texts_of(metadata).items()))) if metadata else _NO_TEXTS
    options = PinOptions(name, PinMode(str(fields["mode"])), int(str(low)), int(str(high)), metadata=texts)
    check_texts(options)
    return options


def _is_plain(low: object, high: object) -> bool:
    """Whether these are factors that no rule is against."""
    if type(low) is not int or type(high) is not int:
        return False
    return low == high == EVERYWHERE or 0 < low <= high <= _FEW


_FEW = 100
_SELDOM = ("user_allocations", "pin_update", "origins", "shard_size")
_PLAIN = {
    *_SELDOM,
    "replication_factor_min",
    "replication_factor_max",
    "name",
    "mode",
    "metadata",
    "expire_at",
}
_NO_TEXTS: Mapping[str, str] = MappingProxyType({})
