"""A line as a wish for a pin: fields by the names of ipfs-cluster's pin object, over the query's options.

    {"cid":"bafy…","name":"photos","metadata":{"from":"camera"},"replication_factor_min":2}

The general way is that of a query string (`pin_wish`), so that a line and a query mean the same and are
refused for the same. Lines with a name and metadata alone, which nearly all are, go a shorter one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from types import MappingProxyType

from cluster.allocation.pin_options import check_texts
from cluster.pin import GrantAsk, PinOptions, Wish
from node.http.errors import BadRequest
from node.http.go.gojson import ZERO_TIME
from node.http.go.query_values import Query
from node.http.rest.bulk.json_line import JsonFields, cid_of, json_object
from node.http.rest.pin_options import NEVER, check_key, pin_wish

_SHORT = frozenset(("cid", "name", "metadata"))


class PinLines:
    """Lines of one request whose query has the options that hold where a line says nothing."""

    def __init__(self, query: Query, now: Callable[[], float] = time.time, owner: str = "") -> None:
        """`owner`: for whom all of them are kept. Raises what `pin_wish` raises."""
        self._owner = owner
        self._query = _spread(query)
        self._now = now
        self._wish = pin_wish(self._query, now)
        self._named = {False: self._wish.named, True: self._wish.named}
        if self._wish.named is not None:
            self._named[True] = self._wish.named | {"name"}

    def parse(self, line: bytes) -> GrantAsk:
        """Raises BadRequest, BadPinValue."""
        fields = json_object(line)
        cid = cid_of(fields)
        wish = self._short(fields) if fields.keys() <= _SHORT else self._general(fields)
        for key in wish.options.metadata:
            check_key(key)
        return GrantAsk(cid, wish._replace(owner=self._owner) if self._owner else wish)

    def _short(self, fields: JsonFields) -> Wish:
        name, metadata = fields.get("name"), fields.get("metadata")
        options = self._wish.options
        if name is not None or metadata is not None:
            options = _with(options, name, metadata)
            check_texts(options)
        return Wish(options, self._named[name is not None], self._wish.shorten)

    def _general(self, fields: JsonFields) -> Wish:
        own = line_query(fields)
        given = self._query
        if own.keys() & _ENDS:
            given = {name: value for name, value in given.items() if name not in _ENDS}
        return pin_wish({**given, **own}, self._now)


_ENDS = frozenset(("expire-at", "expire-in"))
_FACTORS = ("replication-min", "replication-max")


def line_query(fields: JsonFields) -> dict[str, str]:
    """The fields of a line but its CID, as parameters of a query. Raises BadRequest."""
    if fields.get("expire_at") and fields.get("expire_in"):
        raise BadRequest("expire_at and expire_in say the same thing: give one of them")
    query: dict[str, str] = {}
    for name, value in fields.items():
        if name not in _PARAMETERS:
            raise BadRequest(f'field "{name[:64]}" is unknown here: see docs/http.md')
        if value is not None:
            query |= _PARAMETERS[name](name, value)
    return query


def _spread(query: Query) -> dict[str, str]:
    """`replication` as the two that it stands for: a line may have another value for one of them."""
    spread = dict(query)
    both = spread.pop("replication", "")
    return spread | (dict.fromkeys(_FACTORS, both) if both else {})


def _with(options: PinOptions, name: object, metadata: object) -> PinOptions:
    """The same with this name, and this metadata too."""
    return options._replace(
        name=options.name if name is None else _text("name", name),
        metadata=options.metadata if metadata is None else _merged(options.metadata, texts_of(metadata)),
    )


def _merged(before: Mapping[str, str], own: Mapping[str, str]) -> Mapping[str, str]:
    return MappingProxyType(dict(sorted({**before, **own}.items())))


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise BadRequest(f"field {name} invalid: a text is needed")
    return value


def texts_of(value: object) -> Mapping[str, str]:
    """Metadata. Raises BadRequest."""
    if not isinstance(value, dict):
        raise BadRequest("field metadata invalid: an object of texts is needed")
    for key, text in value.items():
        if not key or not isinstance(text, str):
            raise BadRequest("field metadata invalid: keys and values are texts, and a key is not empty")
    return value


def _number(name: str, value: object) -> str:
    if not isinstance(value, int) or isinstance(value, bool):
        raise BadRequest(f"field {name} invalid: a whole number is needed")
    return str(value)


def _list(name: str, value: object) -> str:
    if not isinstance(value, list) or not all(isinstance(one, str) and "," not in one for one in value):
        raise BadRequest(f"field {name} invalid: a list of texts is needed")
    return ",".join(value)


def _end(name: str, value: object) -> dict[str, str]:
    """Go's zero time is no end."""
    text = _text(name, value)
    return {"expire-in": NEVER} if text == ZERO_TIME else {"expire-at": text}


def _as_text(parameter: str) -> Callable[[str, object], dict[str, str]]:
    return lambda name, value: {parameter: _text(name, value)}


def _as_number(parameter: str) -> Callable[[str, object], dict[str, str]]:
    return lambda name, value: {parameter: _number(name, value)}


def _as_list(parameter: str) -> Callable[[str, object], dict[str, str]]:
    return lambda name, value: {parameter: _list(name, value)}


# The fields of a line, and what each of them is in a query.
_PARAMETERS: Mapping[str, Callable[[str, object], dict[str, str]]] = {
    "cid": lambda name, value: {},
    "name": _as_text("name"),
    "mode": _as_text("mode"),
    "replication_factor_min": _as_number("replication-min"),
    "replication_factor_max": _as_number("replication-max"),
    "shard_size": _as_number("shard-size"),
    "user_allocations": _as_list("user-allocations"),
    "expire_at": _end,
    "expire_in": _as_text("expire-in"),
    "metadata": lambda name, value: {f"meta-{key}": text for key, text in texts_of(value).items()},
    "pin_update": _as_text("pin-update"),
    "origins": _as_list("origins"),
    "max_size": _as_number("max-size"),
    "deadline": _as_text("deadline"),
    "attempts": _as_number("attempts"),
}
