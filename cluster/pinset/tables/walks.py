"""The index walk of a query of pins, and what is asked of each pin on the way; as SQL.

Only fixed text is put together here: every value is an argument.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from cluster.errors import BadCursor, NotReady
from cluster.interfaces import PinOrder, PinQuery
from cluster.pinset.tables.list_place import Key, ListPlace

_EARLIEST = -1.7976931348623157e308
_ALLOCATED = (
    "EXISTS (SELECT 1 FROM allocated WHERE cid = pins.cid AND peer = (SELECT id FROM peers WHERE peer = :{}))"
)
_ITEM = "EXISTS (SELECT 1 FROM metadata WHERE key = :key{0} AND value = :value{0} AND cid = pins.cid)"


@dataclass(frozen=True, slots=True)
class Walk:
    """Along one index: `source` where `conditions` hold, by `key` (empty: none) and CID.

    It fulfils the conditions of a query that `covers` names. The first page begins at `start` of the key.
    """

    name: str
    by: PinOrder | None  # None: an order that none asks for
    source: str
    conditions: tuple[str, ...]
    covers: frozenset[str]
    key: str = ""
    start: Key = None

    @property
    def order(self) -> str:
        return f"{self.key}, cid" if self.key else "cid"

    @property
    def where(self) -> str:
        behind = f"({self.key}, cid) > (:place, :cid)" if self.key else "cid > :cid"
        return " AND ".join((behind, *self.conditions))

    def first(self, query: PinQuery) -> ListPlace:
        """Before all that it passes."""
        after = bytes(query.after) if query.after is not None and not self.key else b""
        return ListPlace(self.name, self.start, after)


@dataclass(frozen=True, slots=True)
class Listing:
    """A walk, the tests that each pin on it must pass, and the arguments of both.

    With `reads` the pins that are left must be read, for a condition that no index answers.
    """

    walk: Walk
    tests: tuple[str, ...]
    reads: bool
    arguments: Mapping[str, object] = field(repr=False)


def listing(query: PinQuery, ready: bool, walk_name: str = "") -> Listing:
    """The walk of that name, else the narrowest in the order asked for. Raises BadCursor, NotReady.

    Before the rows of a migration are `ready`, times and holders are read from the pins.
    """
    indexed = query if ready else _of_old_columns(query)
    walk = _named(indexed, ready, walk_name) if walk_name else _narrowest(indexed, ready)
    tests = {name: test for name, test in _tests(indexed, walk.key).items() if name not in walk.covers}
    keys_read = any(f"alone{index}" not in walk.covers for index in range(len(query.metadata_keys)))
    return Listing(walk, tuple(tests.values()), keys_read or indexed != query, _arguments(query))


def _of_old_columns(query: PinQuery) -> PinQuery:
    return replace(query, held_by=None, allocated_to=None, created_after=None, created_before=None)


def _named(query: PinQuery, ready: bool, name: str) -> Walk:
    """Only one that this query could take: a cursor is whatever a client sends."""
    for walk in _walks(query, ready):
        if walk.name == name:
            return walk
    raise BadCursor("the cursor is none that a page of this query gave")


def _narrowest(query: PinQuery, ready: bool) -> Walk:
    for walk in _walks(query, ready):
        if query.order in (None, walk.by):
            return walk
    raise NotReady("pins cannot be listed by time yet: see migration at GET /v1/health")


def _walks(query: PinQuery, ready: bool) -> Iterator[Walk]:
    """Those that the query could take: narrow ones first, behind them what passes all pins."""
    if query.name is not None:
        yield _OF_NAME
    if query.metadata:
        yield _OF_ITEM
    if query.allocated_to is not None:
        yield _OF_PEER
    if query.metadata_keys:
        yield _BY_VALUE
    if query.name_prefix:
        yield _by_name(query)
    if query.expires_before is not None or query.expires_after is not None:
        yield _by_expiry(query)
    if query.created_before is not None or query.created_after is not None:
        yield _by_created(query)
    if query.name_contains:
        yield _by_name(query)
    yield from (BY_CID, _by_name(query), _by_expiry(query))
    if ready:
        yield _by_created(query)


_NAMES = "pins INDEXED BY pins_by_name"
BY_CID = Walk("cid", PinOrder.CID, "pins", (), frozenset({"after"}))
_OF_NAME = Walk("one name", PinOrder.CID, _NAMES, ("name = :name",), frozenset({"after", "name"}))
_OF_ITEM = Walk(
    "item", PinOrder.CID, "metadata", ("key = :key0", "value = :value0"), frozenset({"after", "item0"})
)
_OF_PEER = Walk(
    "peer",
    PinOrder.CID,
    "allocated",
    ("peer = (SELECT id FROM peers WHERE peer = :allocated)",),
    frozenset({"after", "allocated"}),
)
_BY_VALUE = Walk("value", None, "metadata", ("key = :alone0",), frozenset({"alone0"}), "value", "")


def _by_name(query: PinQuery) -> Walk:
    conditions = [
        *_if(_below(query.name_prefix), "name < :below"),
        *(("name = :name",) if query.name is not None else ()),
    ]
    start = max(query.name or "", query.name_prefix)
    return Walk(
        "name", PinOrder.NAME, _NAMES, tuple(conditions), frozenset({"prefix", "name"}), "name", start
    )


def _by_created(query: PinQuery) -> Walk:
    return Walk(
        "created",
        PinOrder.CREATED,
        "pins INDEXED BY pins_by_created",
        ("created IS NOT NULL", *_if(query.created_before, "created < :created_before")),
        frozenset({"created_after", "created_before"}),
        "created",
        _EARLIEST if query.created_after is None else query.created_after,
    )


def _by_expiry(query: PinQuery) -> Walk:
    return Walk(
        "expiry",
        PinOrder.EXPIRY,
        "pins INDEXED BY pins_by_expiry",
        ("expire_at IS NOT NULL", *_if(query.expires_before, "expire_at < :expires_before")),
        frozenset({"expires_after", "expires_before"}),
        "expire_at",
        _EARLIEST if query.expires_after is None else query.expires_after,
    )


def _if(given: str | float | None, condition: str) -> tuple[str, ...]:
    return () if given is None or given == "" else (condition,)


def _tests(query: PinQuery, key: str) -> dict[str, str]:
    """Each condition of the query. What the walk goes by is looked at there, and needs no row."""
    name, created, expiry = (
        "walked.place" if column == key else f"pins.{column}" for column in ("name", "created", "expire_at")
    )
    tests = {
        "after": (query.after, "pins.cid > :after"),
        "name": (query.name, f"{name} = :name"),
        "prefix": (query.name_prefix or None, _prefixed(query, name)),
        "contains": (query.name_contains or None, f"instr({name}, :contains)"),
        "held": (query.held_by, f"(pins.everywhere IS NOT 0 OR {_ALLOCATED.format('held')})"),
        "allocated": (query.allocated_to, _ALLOCATED.format("allocated")),
        "expires_after": (query.expires_after, f"{expiry} >= :expires_after"),
        "expires_before": (query.expires_before, f"{expiry} < :expires_before"),
        "created_after": (query.created_after, f"{created} >= :created_after"),
        "created_before": (query.created_before, f"{created} < :created_before"),
        **{f"item{index}": (item, _ITEM.format(index)) for index, item in enumerate(query.metadata)},
    }
    return {condition: test for condition, (given, test) in tests.items() if given is not None}


def _prefixed(query: PinQuery, name: str) -> str:
    return f"{name} >= :prefix AND {name} < :below" if _below(query.name_prefix) else f"{name} >= :prefix"


def _below(prefix: str) -> str:
    """The first text behind all that begin so; empty where there is none."""
    kept = prefix.rstrip("\U0010ffff")
    if not kept:
        return ""
    following = ord(kept[-1]) + 1
    return kept[:-1] + chr(0xE000 if following == 0xD800 else following)  # surrogates are no text


def _arguments(query: PinQuery) -> Mapping[str, object]:
    arguments: dict[str, object] = {
        "after": bytes(query.after) if query.after else b"",
        "name": query.name,
        "prefix": query.name_prefix,
        "below": _below(query.name_prefix),
        "contains": query.name_contains,
        "held": query.held_by,
        "allocated": query.allocated_to,
        "expires_after": query.expires_after,
        "expires_before": query.expires_before,
        "created_after": query.created_after,
        "created_before": query.created_before,
    }
    for index, (key, value) in enumerate(query.metadata):
        arguments |= {f"key{index}": key, f"value{index}": value}
    return arguments | {f"alone{index}": key for index, key in enumerate(query.metadata_keys)}
